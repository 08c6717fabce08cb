/** What others may know of the chain: head, blocks, state with proofs, known content. */
import { hex } from '#proto/bytes.ts';
import { encodeContext } from '#proto/chain-context.ts';
import { encodeCommittedList } from '#proto/consensus/committed.ts';
import { hashBytes } from '#proto/consensus/shape.ts';
import { EMPTY_ROOT, encodeProof, get, prove, rootOf } from '#proto/merkle.ts';
import type { Ask, Chain, ReadJob } from './chain.ts';
import type { Fx } from './core.ts';

const NOTHING = new Uint8Array(0);
const NO_BLOCKS = encodeCommittedList([]);
const WAIT_MS_MAX = 60_000;

export const answerHead = ({ ledger }: Chain, { replyTo }: Ask<'head'>, fx: Fx): void => {
  const { header, hash } = ledger.head;
  fx.reply(replyTo, {
    height: header.height,
    hash: hashBytes(hash),
    stateRoot: hashBytes(header.stateRoot),
    proof: ledger.proof,
  });
};

export const answerState = ({ ledger }: Chain, message: Ask<'state'>, fx: Fx): void => {
  const height = message.height === 0 ? ledger.head.header.height : message.height;
  const tree = ledger.trees.get(height);
  if (tree === undefined) {
    const none = { found: false, value: NOTHING, proof: NOTHING, height, root: EMPTY_ROOT };
    return fx.reply(message.replyTo, none);
  }
  const { crypto } = ledger.rules;
  const value = get(tree, message.key, crypto);
  fx.reply(message.replyTo, {
    found: value !== null,
    value: value ?? NOTHING,
    proof: encodeProof(prove(tree, message.key, crypto)),
    height,
    root: rootOf(tree),
  });
};

export const answerKnown = ({ ledger }: Chain, { ids, replyTo }: Ask<'known'>, fx: Fx): void =>
  fx.reply(replyTo, { known: ids.map((id) => ledger.contents.has(hex(id))) });

export const answerContext = ({ ledger }: Chain, { replyTo }: Ask<'context'>, fx: Fx): void => {
  const { chainId, validators, producers, parameters, neverBlock } = ledger.rules.genesis;
  const { height, timeMs } = ledger.head.header;
  const context = { chainId, validators, producers, parameters, neverBlock };
  fx.reply(replyTo, { bytes: encodeContext({ ...context, height, headTimeMs: timeMs }) });
};

const dueKey = (id: number): string => `read-${id}`;

export const answerRead = (chain: Chain, message: Ask<'read'>, fx: Fx): void => {
  const { fromHeight, maxBlocks, maxBytes, waitMs, replyTo } = message;
  const job: ReadJob = { fromHeight: Math.max(1, fromHeight), maxBlocks, maxBytes, replyTo };
  if (job.fromHeight <= chain.ledger.head.header.height) return fx.io('read', job);
  if (waitMs === 0 || chain.reads.size >= chain.config.readsMax) return answerNone(chain, job, fx);
  const id = chain.nextRead++;
  chain.reads.set(id, job);
  fx.after(Math.min(waitMs, WAIT_MS_MAX), { kind: 'readDue', id }, dueKey(id));
};

const answerNone = ({ ledger }: Chain, { replyTo }: ReadJob, fx: Fx): void =>
  fx.reply(replyTo, { blocks: NO_BLOCKS, head: ledger.head.header.height });

export const readDue = (chain: Chain, id: number, fx: Fx): void => {
  const job = chain.reads.get(id);
  if (job === undefined) return;
  chain.reads.delete(id);
  answerNone(chain, job, fx);
};

/** The head has moved: those who waited for it are served. */
export const serveReads = (chain: Chain, fx: Fx): void => {
  for (const [id, job] of chain.reads) {
    if (job.fromHeight > chain.ledger.head.header.height) continue;
    chain.reads.delete(id);
    fx.cancel(dueKey(id));
    fx.io('read', job);
  }
};
