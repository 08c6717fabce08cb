/** Readiness, blocks and state: what the executor of the configured validator says. */
import { hex } from '#proto/bytes.ts';
import { decodeCommittedList } from '#proto/consensus/committed.ts';
import { type Json, parseJson } from '#proto/json.ts';
import { EMPTY_ROOT } from '#proto/merkle.ts';
import { type Answers, type Context, give, type Outcome, refuse, silent, want } from './answers.ts';
import { anchorView, blockSummary, blockView, merkleView } from './chain-views.ts';
import type { RequestOf } from './request.ts';

export const executorOf = ({ config }: Context): string => `the executor of ${config.from}`;

/** A node without a chain is ready when what it has instead answers. Never a question of the quorum. */
const composeReadyWithout = ({ feedback, enforcement }: Answers, c: Context): Outcome => {
  const part = c.config.shows.includes('feedback') ? 'feedback' : 'enforcement';
  const answer = part === 'feedback' ? feedback : enforcement;
  if (answer === undefined) return want({ part });
  return answer.ok ? give({ ready: true, height: null }) : silent(part, answer.error, c);
};

export const composeReady = (have: Answers, c: Context): Outcome => {
  if (!c.config.shows.includes('chain')) return composeReadyWithout(have, c);
  const { head } = have;
  if (head === undefined) return want({ part: 'head' });
  return head.ok
    ? give({ ready: true, height: head.value.height })
    : silent(executorOf(c), head.error, c);
};

export const composeBlocks = (
  { from, limit }: RequestOf<'blocks'>,
  { read }: Answers,
  c: Context,
): Outcome => {
  if (read === undefined) return want({ part: 'read', from, limit });
  if (!read.ok) return silent(executorOf(c), read.error, c);
  const blocks = decodeCommittedList(read.value.blocks).map((one) => blockSummary(one, c.crypto));
  const { head } = read.value;
  const last = blocks.at(-1)?.height ?? head;
  const next = last < head ? `/api/v1/blocks?from=${last + 1}&limit=${limit}` : null;
  return give({ blocks, head, next });
};

export const composeBlock = (height: number, { read }: Answers, c: Context): Outcome => {
  if (read === undefined) return want({ part: 'read', from: height, limit: 1 });
  if (!read.ok) return silent(executorOf(c), read.error, c);
  const committed = decodeCommittedList(read.value.blocks)[0];
  if (committed === undefined) {
    const { head } = read.value;
    const detail = `no block has height ${height}; the newest has ${head}`;
    return refuse('not-found', detail, { head });
  }
  return give(blockView(committed, c.crypto));
};

export const composeLatest = (have: Answers, c: Context): Outcome => {
  const { head } = have;
  if (head === undefined) return want({ part: 'head' });
  if (!head.ok) return silent(executorOf(c), head.error, c);
  const { height } = head.value;
  if (height === 0) return refuse('not-found', 'no block is committed yet; genesis is the head');
  return composeBlock(height, have, c);
};

export const composeRoot = ({ head }: Answers, c: Context): Outcome => {
  if (head === undefined) return want({ part: 'head' });
  if (!head.ok) return silent(executorOf(c), head.error, c);
  const { height, hash, stateRoot, proof } = head.value;
  return give({
    height,
    blockHash: hex(hash),
    root: hex(stateRoot),
    proof: proof.length === 0 ? null : anchorView(proof, c.crypto),
  });
};

const jsonOrNull = (bytes: Uint8Array): Json => {
  const parsed = parseJson(bytes);
  return parsed.ok ? parsed.value : null;
};

/** The executor answers a height that it cannot show with a root of zeros. */
export const outOfReach = (root: Uint8Array): boolean => hex(root) === hex(EMPTY_ROOT);

export const composeState = (
  { key, height }: RequestOf<'state'>,
  { states }: Answers,
  c: Context,
): Outcome => {
  const answer = states.get(key);
  if (answer === undefined) return want({ part: 'state', key, height });
  if (!answer.ok) return silent(executorOf(c), answer.error, c);
  const { found, value, root } = answer.value;
  if (outOfReach(root)) {
    const detail = `the state after block ${height} is not kept: ask for a height near the head`;
    return refuse('not-found', `height: ${detail}`, { parameter: 'height' });
  }
  const proof = merkleView(answer.value.proof);
  const place = { key, height: answer.value.height, root: hex(root), proof };
  if (!found) return refuse('not-found', `the state has no key ${key}`, place);
  return give({ ...place, value: jsonOrNull(value), valueHex: hex(value) });
};
