/** The machine's effects as asks of the neighbours, frames to the peers, timers and io. */
import { fromHex } from '#proto/bytes.ts';
import { type AnchorProof, decodeAnchor, encodeAnchor } from '#proto/consensus/anchor.ts';
import { encodeBlock } from '#proto/consensus/block.ts';
import { encodeEvidence } from '#proto/consensus/evidence.ts';
import { encodeMessage, type Message } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { BLOCK_TX_MAX, encodeTransactions } from '#proto/consensus/transaction.ts';
import { unreachable } from '#proto/result.ts';
import { executor } from '../executor/protocol.ts';
import { ingest } from '../ingest/protocol.ts';
import type { BuildRequest, Effect, IdentifiedBlock, Seq } from './machine/events.ts';
import type { Fx, State } from './messages.ts';
import { noteEffect } from './notes.ts';

export const EXECUTE_DEADLINE_MS = 10_000;
export const NEIGHBOUR_DEADLINE_MS = 2000;
export const SYNC_BYTES_MAX = 8 << 20;
const SYNC_LOOKAHEAD = 64;
const FORWARD_TX_MAX = 100;
const FORWARD_BYTES_MAX = 512 << 10;

export const send = (
  state: State,
  to: HashHex | null,
  message: Message,
  after: Seq | undefined,
  fx: Fx,
) => {
  const frame = encodeMessage(message);
  if (after !== undefined && after > state.durableSeq) state.held.push({ after, to, frame });
  else fx.io('send', { to, frame });
};

export const toAnchor = (proof: Uint8Array): AnchorProof => {
  const anchor = decodeAnchor(proof);
  if (!anchor.ok) throw new Error(`our own executor's proof does not decode: ${anchor.error}`);
  return anchor.value;
};

const askBuild = (state: State, build: BuildRequest, fx: Fx): void => {
  const { blockTxMax, blockBytesMax } = state.opened!;
  // Twice a block: the best of the mempool may stand in the uncommitted block below, which the builder skips.
  const maxTransactions = Math.min(2 * blockTxMax, BLOCK_TX_MAX);
  fx.ask(
    ingest,
    { kind: 'take', maxTransactions, maxBytes: blockBytesMax },
    { kind: 'taken', build },
    NEIGHBOUR_DEADLINE_MS,
  );
};

const askCommits = (blocks: readonly IdentifiedBlock[], proof: AnchorProof, fx: Fx): void => {
  const bytes = encodeAnchor(proof);
  for (const { hash } of blocks) {
    fx.ask(
      executor,
      { kind: 'commit', hash: fromHex(hash), proof: bytes },
      { kind: 'committed', hash },
      EXECUTE_DEADLINE_MS,
    );
  }
};

const serveSync = (effect: Extract<Effect, { kind: 'serve-sync' }>, fx: Fx): void => {
  const { to, fromHeight, blocksMax } = effect;
  fx.ask(
    executor,
    {
      kind: 'read',
      fromHeight,
      // The anchor of the last block may lie above it.
      maxBlocks: blocksMax + SYNC_LOOKAHEAD,
      maxBytes: SYNC_BYTES_MAX,
      waitMs: 0,
    },
    { kind: 'served', to, fromHeight, blocksMax },
    NEIGHBOUR_DEADLINE_MS,
  );
};

const askForward = (fx: Fx): void =>
  fx.ask(
    ingest,
    { kind: 'take', maxTransactions: FORWARD_TX_MAX, maxBytes: FORWARD_BYTES_MAX },
    { kind: 'toForward' },
    NEIGHBOUR_DEADLINE_MS,
  );

/** One effect of the machine, in the words of the kernel. */
export const carryOut = (state: State, effect: Effect, fx: Fx, atMs: number): void => {
  switch (effect.kind) {
    case 'persist':
      return fx.io('persist', { seq: effect.seq, record: effect.record, block: effect.block });
    case 'send':
      return send(state, effect.to, effect.message, effect.after, fx);
    case 'broadcast':
      return send(state, null, effect.message, effect.after, fx);
    case 'set-timer':
      return fx.after(
        effect.delayMs,
        { kind: 'timer', id: effect.id, view: effect.view },
        effect.id,
      );
    case 'cancel-timer':
      return fx.cancel(effect.id);
    case 'request-block':
      return askBuild(state, effect.build, fx);
    case 'execute':
      return fx.ask(
        executor,
        { kind: 'execute', hash: fromHex(effect.hash), block: encodeBlock(effect.block) },
        { kind: 'executed', hash: effect.hash },
        EXECUTE_DEADLINE_MS,
      );
    case 'commit':
      return askCommits(effect.blocks, effect.proof, fx);
    case 'serve-sync':
      return serveSync(effect, fx);
    case 'forward-pending':
      return askForward(fx);
    case 'forwarded':
      return fx.tell(ingest, {
        kind: 'forwarded',
        transactions: encodeTransactions(effect.txs),
        from: effect.from,
      });
    case 'count-pending':
      return; // core.ts answers it: an event, not an effect on the world
    case 'evidence': {
      const tx = { kind: 'misbehaviour', bytes: encodeEvidence(effect.evidence) } as const;
      fx.log('warn', 'proof of misbehaviour', {
        offender: effect.offender,
        of: effect.evidence.kind,
      });
      fx.emit('misbehaviour', 1);
      return fx.tell(ingest, {
        kind: 'forwarded',
        transactions: encodeTransactions([tx]),
        from: state.opened!.id,
      });
    }
    case 'halt':
      fx.log('error', 'the replica halts: an invariant is broken', { reason: effect.reason });
      return fx.stop('halt', effect.reason);
    case 'note':
      return noteEffect(state, effect.note, fx, atMs);
    default:
      return unreachable(effect);
  }
};
