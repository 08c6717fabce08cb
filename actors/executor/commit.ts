/** From executed to final: one transaction of the store, then the new head, then the answers. */

import { ingest } from '#actors/ingest/protocol.ts';
import { fromHex, hex } from '#proto/bytes.ts';
import { decodeAnchor } from '#proto/consensus/anchor.ts';
import { encodeCommitted } from '#proto/consensus/committed.ts';
import { blockHash, encodeHeader } from '#proto/consensus/header.ts';
import { decodeState, policyKey } from '#proto/state.ts';
import type { Ask, BlockRow, Chain } from './chain.ts';
import type { Fx } from './core.ts';
import { LIST_ITEMS_MAX } from './forks.ts';
import { seal, undoOf } from './ledger.ts';
import { serveReads } from './reads.ts';
import { descends, type Version } from './version.ts';

/** Commits that wait for the disk: the replica asks one after another, a catch-up a few. */
const COMMITS_MAX = 64;

const refuse = (message: Ask<'commit'>, reason: string, fx: Fx): void => {
  fx.log('warn', 'a commit is refused', { hash: hex(message.hash), reason });
  fx.reply(message.replyTo, { ok: false, height: 0, reason });
};

/** Why the proof is none for this block; the replica has verified its signatures. */
const proofProblem = (chain: Chain, version: Version, proof: Uint8Array): string | undefined => {
  const decoded = decodeAnchor(proof);
  if (!decoded.ok) return 'bad-proof';
  const { anchor } = decoded.value;
  if (anchor.height < version.header.height) return 'proof-below';
  const anchorHash = blockHash(anchor, chain.ledger.rules.crypto);
  if (anchor.height === version.header.height && anchorHash !== version.hash) {
    return 'proof-of-another';
  }
  const known = chain.executed.get(anchorHash);
  return known !== undefined && !descends(known, version) ? 'proof-of-another' : undefined;
};

export const commitBlock = (chain: Chain, message: Ask<'commit'>, fx: Fx): void => {
  const hash = hex(message.hash);
  const height = chain.ledger.heights.get(hash);
  if (height !== undefined) return fx.reply(message.replyTo, { ok: true, height, reason: '' });
  if (chain.storing !== undefined) {
    if (chain.storing.line.some((one) => one.hash === hash)) {
      chain.storing.waiting.push(message);
    } else if (chain.commits.length < COMMITS_MAX) chain.commits.push(message);
    else refuse(message, 'busy', fx);
    return;
  }
  const version = chain.executed.get(hash);
  if (version === undefined) return refuse(message, 'unknown-block', fx);
  const problem = proofProblem(chain, version, message.proof);
  if (problem !== undefined) return refuse(message, problem, fx);
  const line = lineTo(chain, version);
  if (line === undefined) return refuse(message, 'not-on-head', fx);
  chain.storing = { line, proof: message.proof, waiting: [message] };
  const { horizonBlocks } = chain.config;
  fx.io('append', {
    blocks: line.map((one) => rowOf(chain, one, message.proof)),
    horizonBlocks,
  });
};

/** Oldest first, from the head's child on; undefined where the block stands on another fork. */
const lineTo = (chain: Chain, version: Version): readonly Version[] | undefined => {
  const line: Version[] = [];
  let at: Version | null = version;
  while (at !== null && at !== chain.ledger.head) {
    line.unshift(at);
    at = at.parent;
  }
  return at === null ? undefined : line;
};

const rowOf = (chain: Chain, version: Version, proof: Uint8Array): BlockRow => ({
  height: version.header.height,
  hash: version.hash,
  header: encodeHeader(version.header),
  committed: encodeCommitted({
    block: version.block,
    proof,
    receipts: version.receipts,
    policies: version.policies,
    stateRoot: version.header.stateRoot,
  }),
  proof,
  changes: [...version.changes],
  undo: undoOf(chain.ledger, version),
});

/** Everything up to `height` is on disk. */
export const stored = (chain: Chain, height: number, fx: Fx): void => {
  const { storing, ledger } = chain;
  if (storing === undefined) throw new Error('blocks stored that nobody commits');
  chain.storing = undefined;
  for (const version of storing.line) {
    seal(ledger, version, storing.proof);
    announce(version, fx);
  }
  if (ledger.head.header.height !== height) throw new Error('the store is at another height');
  for (const [hash, version] of chain.executed) {
    if (!descends(version, ledger.head)) chain.executed.delete(hash);
  }
  const answers = storing.waiting.map(({ replyTo, hash }) => ({
    replyTo,
    height: ledger.heights.get(hex(hash)) ?? height,
  }));
  for (const { replyTo, height: at } of answers.sort((a, b) => a.height - b.height)) {
    fx.reply(replyTo, { ok: true, height: at, reason: '' });
  }
  fx.gauge('height', height);
  fx.signal({ kind: 'fact', name: 'state_root', value: ledger.head.header.stateRoot });
  serveReads(chain, fx);
  // The newest first: it takes the others with it, in one transaction and one fsync.
  for (const message of chain.commits.splice(0).reverse()) commitBlock(chain, message, fx);
};

const announce = (version: Version, fx: Fx): void => {
  const { height, timeMs } = version.header;
  const ids = version.receipts.map((one) => fromHex(one.txId));
  for (let at = 0; at === 0 || at < ids.length; at += LIST_ITEMS_MAX) {
    fx.tell(ingest, {
      kind: 'included',
      height,
      timeMs,
      ids: ids.slice(at, at + LIST_ITEMS_MAX),
    });
  }
  const anomalies = version.receipts.filter(
    (one) => one.status === 'applied' && version.changes.has(`anomalies/${one.id}`),
  );
  if (anomalies.length > 0) fx.emit('stage_committed', anomalies.length);
  const added = version.policies.filter(
    ({ value }) => decodeState(policyKey(''), value).status === 'active',
  );
  if (added.length > 0) fx.emit('stage_policies', added.length);
};
