/**
 * What a dead thread held goes back. The count of a slab may stand too high after a death; a sweep counts the references that
 * exist (handles in unread records, published or not, and ledgers of living threads) and, when two sweeps in a row see the
 * same generation, the same count and fewer references, lowers the count. A slab that somebody can still reach changes its
 * count when it is released, so it never passes both.
 */
import { laneView } from './lane.ts';
import { arenaTable, feedStarved, HANDLE_INDEX, HANDLE_MARK, type SlabArena } from './slab.ts';
import type { Wakers } from './wakers.ts';

type Suspect = { readonly generation: number; readonly refs: number; readonly found: number };

export type Sweep = {
  /** The thread is dead: nothing in its ledger counts any more. */
  bury(thread: number): void;
  /** One pass; returns how many slabs still look too high. Passes should be about a second apart. */
  pass(): number;
  /** Slabs whose count a sweep has lowered, in all. */
  readonly repaired: () => number;
};

type Lanes = ReturnType<typeof laneView>;

/** Handles in what is written and unread; false when the consumer overtook the look. */
const countLane = (lane: Lanes, generations: Int32Array, found: Int32Array): boolean => {
  const from = lane.cursor();
  const to = lane.written();
  const { words } = lane;
  const mask = words.length - 1;
  const seen: number[] = [];
  for (let at = from; ((to - at) | 0) > 0; at = (at + 2) | 0) {
    const mark = words[at & mask]!;
    if ((mark & ~HANDLE_INDEX) !== HANDLE_MARK) continue;
    const index = mark & HANDLE_INDEX;
    if (index >= found.length) continue;
    if (words[(at + 1) & mask] === Atomics.load(generations, index)) seen.push(index);
  }
  if (((lane.head() - from) | 0) > 0) return false;
  for (const index of seen) found[index]!++;
  return true;
};

const ATTEMPTS = 20;

export const openSweep = (
  arena: SlabArena,
  lanes: readonly SharedArrayBuffer[],
  wakers: Wakers,
): Sweep => {
  const table = arenaTable(arena);
  const views = lanes.map(laneView);
  const suspects = new Map<number, Suspect>();
  let repaired = 0;
  const held = (): Int32Array => Int32Array.from(table.ledger, (_, k) => table.ledger[k]!);
  /** References of each slab: what a ledger showed before or after the lanes, so that none slips through between. */
  const references = (): Int32Array | undefined => {
    const found = new Int32Array(arena.count);
    const before = held();
    for (const view of views) {
      let tries = 0;
      while (!countLane(view, table.generations, found)) if (++tries > ATTEMPTS) return undefined;
    }
    const after = held();
    before.forEach((n, k) => {
      found[k % arena.count]! += Math.max(n, after[k]!);
    });
    return found;
  };
  const pass = (): number => {
    const refs = Int32Array.from(table.refs, (_, k) => Atomics.load(table.refs, k));
    const generations = Int32Array.from(table.generations);
    const found = references();
    if (found === undefined) return suspects.size + 1;
    let open = 0;
    for (let k = 0; k < arena.count; k++) {
      const now = { generation: generations[k]!, refs: refs[k]!, found: found[k]! };
      if (now.found >= now.refs) {
        suspects.delete(k);
        continue;
      }
      const was = suspects.get(k);
      suspects.set(k, now);
      const same =
        was?.generation === now.generation && was.refs === now.refs && was.found === now.found;
      if (!same || Atomics.load(table.generations, k) !== now.generation) {
        open++;
        continue;
      }
      if (Atomics.compareExchange(table.refs, k, now.refs, now.found) === now.refs) repaired++;
      suspects.delete(k);
    }
    feedStarved(table, wakers);
    return open;
  };
  return {
    bury: (thread) => {
      for (let k = 0; k < arena.count; k++)
        Atomics.store(table.ledger, thread * arena.count + k, 0);
      Atomics.store(table.starved, thread, 0);
    },
    pass,
    repaired: () => repaired,
  };
};
