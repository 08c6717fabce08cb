/**
 * How exceptions are shared out over objects. Policies that select the same pods add up: what one of them lets
 * through passes. So each address belongs to exactly one object: the one of the smallest block that holds it;
 * every larger block excepts that block whole. Pure.
 */
import type { Family } from '../../claims.ts';
import { everything, type Network, type Piece, sizeOf } from './pieces.ts';

export type Shard = {
  readonly block: Network;
  readonly pieces: readonly Piece[];
  /** Blocks within it that are objects of their own. */
  readonly carved: readonly Network[];
};

type Inline = Omit<Shard, 'block'> & { readonly weight: number };

/** Entries that a piece takes in its object: its exception, and the ports that stay open to it. */
export const weightOf = ({ ports }: Pick<Piece, 'ports'>): number =>
  ports === undefined ? 1 : 5 + ports.TCP.length + ports.UDP.length + ports.SCTP.length;

export const weightOfAll = (pieces: readonly Piece[]): number =>
  pieces.reduce((sum, piece) => sum + weightOf(piece), 0);

/**
 * Inner blocks before those that hold them, the whole address space last. `pieces` are sorted. A block is
 * carved out only where two halves together exceed `weightMax`, and then the heavier one: so there are at
 * most 2 * weight / weightMax + 1 shards wherever the addresses lie.
 */
export const shardsOf = (
  family: Family,
  pieces: readonly Piece[],
  weightMax: number,
): readonly Shard[] => {
  const done: Shard[] = [];
  const pack = (block: Network, within: readonly Piece[]): Inline => {
    const weight = weightOfAll(within);
    if (weight <= weightMax || within.length === 1) return { pieces: within, carved: [], weight };
    const prefix = block.prefix + 1;
    const upper = block.low + sizeOf({ family, prefix });
    const cut = within.findIndex((piece) => piece.low >= upper);
    const at = cut < 0 ? within.length : cut;
    const halves = [
      { family, low: block.low, prefix },
      { family, low: upper, prefix },
    ] as const;
    const inline = [pack(halves[0], within.slice(0, at)), pack(halves[1], within.slice(at))];
    while (inline[0]!.weight + inline[1]!.weight > weightMax) {
      const k = inline[0]!.weight >= inline[1]!.weight ? 0 : 1;
      // What is one block already becomes no lighter.
      if (inline[k]!.weight <= 1) break;
      const { weight: _, ...rest } = inline[k]!;
      done.push({ block: halves[k], ...rest });
      inline[k] = { pieces: [], carved: [halves[k]], weight: 1 };
    }
    const [left, right] = inline as [Inline, Inline];
    return {
      pieces: [...left.pieces, ...right.pieces],
      carved: [...left.carved, ...right.carved],
      weight: left.weight + right.weight,
    };
  };
  const block = everything(family);
  const { weight: _, ...rest } = pack(block, pieces);
  return [...done, { block, ...rest }];
};
