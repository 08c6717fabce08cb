/** What must hold after every step, whatever the world does. The first thing that does not is the run's verdict. */

import type { Effect, IdentifiedBlock } from '#actors/replica/machine/events.ts';
import type { AnchorProof } from '#proto/consensus/anchor.ts';
import { type Qc, type Tc, type Trust, verifyQc, verifyTc } from '#proto/consensus/certificate.ts';
import { verifyEvidence } from '#proto/consensus/evidence.ts';
import type { Message } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { idOf } from './ledger.ts';
import type { Hooks, SimulatedNode } from './node.ts';

export type Violation = { readonly invariant: string; readonly detail: string };

export type Invariants = {
  readonly hooks: Hooks;
  violation(): Violation | undefined;
  readonly evidence: { readonly offender: HashHex; readonly kind: string }[];
  /** Heights that some honest replica has decided. */
  heights(): number;
};

const BLOCKS_MAX = 64;
const REMEMBERED_MAX = 64;

/** What was seen of one replica, over its restarts. */
type Seen = { height: number; acted: number; locked: number; readonly txs: Set<HashHex> };

type Judge = {
  readonly byzantine: ReadonlySet<HashHex>;
  readonly only: string | undefined;
  found: Violation | undefined;
  /** By height and by view: what was decided and certified, by anybody. */
  readonly decided: Map<number, HashHex>;
  readonly certified: Map<number, HashHex>;
  readonly seen: Map<number, Seen>;
  /** By signer and view; by signer the highest view given up. */
  readonly votes: Map<string, HashHex>;
  readonly gaveUp: Map<HashHex, number>;
  readonly anchors: { readonly view: number; readonly nextView: number }[];
  readonly tcs: { readonly view: number; readonly high: number }[];
  /** Certificates that were checked. */
  readonly checked: WeakSet<object>;
  readonly evidence: { offender: HashHex; kind: string }[];
};

const violate = (judge: Judge, invariant: string, detail: string): void => {
  if (judge.only !== undefined && judge.only !== invariant) return;
  judge.found ??= { invariant, detail };
};

const isHonest = (judge: Judge, node: SimulatedNode): boolean => !judge.byzantine.has(node.id);

/** The true rules of certificates, whatever the machine under test believes. */
const trustOf = ({ machine }: SimulatedNode): Trust => {
  const { rules: _, ...trust } = machine.trust;
  return trust;
};

const checkQc = (judge: Judge, node: SimulatedNode, qc: Qc): void => {
  if (judge.checked.has(qc)) return;
  judge.checked.add(qc);
  const verified = verifyQc(qc, trustOf(node));
  if (!verified.ok) violate(judge, 'every QC is a quorum', `${node.name}: ${verified.error}`);
  const known = judge.certified.get(qc.view) ?? qc.blockHash;
  if (known !== qc.blockHash) violate(judge, 'one QC a view', `view ${qc.view}`);
  judge.certified.set(qc.view, qc.blockHash);
};

/** A TC of a view at or above the one that certified b1 has a signer in common with b1's voters, who knew QC(b0). */
const checkKnowledge = (
  judge: Judge,
  anchor: Judge['anchors'][number],
  tc: Judge['tcs'][number],
): void => {
  if (tc.view < anchor.nextView || tc.high >= anchor.view) return;
  const detail = `TC(${tc.view}) has ${tc.high}, committed was ${anchor.view}`;
  violate(judge, 'a TC knows what was committed', detail);
};

const checkTc = (judge: Judge, node: SimulatedNode, tc: Tc): void => {
  if (judge.checked.has(tc)) return;
  judge.checked.add(tc);
  const verified = verifyTc(tc, trustOf(node));
  if (!verified.ok) violate(judge, 'every TC is a quorum', `${node.name}: ${verified.error}`);
  const seen = { view: tc.view, high: tc.highQc.view };
  for (const anchor of judge.anchors) checkKnowledge(judge, anchor, seen);
  judge.tcs.push(seen);
  if (judge.tcs.length > REMEMBERED_MAX) judge.tcs.shift();
};

const seenOf = (judge: Judge, { index }: SimulatedNode): Seen => {
  const known = judge.seen.get(index);
  if (known !== undefined) return known;
  const fresh: Seen = { height: 0, acted: 0, locked: 0, txs: new Set() };
  judge.seen.set(index, fresh);
  return fresh;
};

/** What is on disk is the measure: what was only in memory at a crash may be forgotten. */
const checkSafety = (judge: Judge, node: SimulatedNode): void => {
  const { safety, started } = node.machine;
  if (!started) return;
  const seen = seenOf(judge, node);
  if (safety.lastActedView < seen.acted) violate(judge, 'lastActedView grows', node.name);
  if (safety.lockedView < seen.locked) violate(judge, 'lockedView grows', node.name);
  const { record } = node.disk;
  seen.acted = Math.max(seen.acted, record?.lastActedView ?? 0);
  seen.locked = Math.max(seen.locked, record?.lockedView ?? 0);
};

const checkMemory = (judge: Judge, { machine, name }: SimulatedNode): void => {
  const histories = [...machine.heard.values()];
  const isBounded =
    machine.nodes.size <= BLOCKS_MAX + machine.params.limits.syncBlocksMax &&
    machine.verified.size <= 129 &&
    machine.headers.size <= 65 &&
    machine.proposals.size <= 9 &&
    machine.own.length <= 16 &&
    machine.convicted.size <= 8 * machine.heard.size &&
    histories.every(({ votes, claims }) => votes.length <= 8 && claims.length <= 8);
  if (!isBounded) violate(judge, 'memory is bounded', `${name}: ${machine.nodes.size} blocks`);
};

const checkDurable = (judge: Judge, node: SimulatedNode, message: Message): void => {
  const { id, name, disk, machine } = node;
  const acted = disk.record?.lastActedView ?? 0;
  const early = (what: string): void => violate(judge, 'persisted before sent', `${name}: ${what}`);
  const vote = message.kind === 'vote' && message.vote.signer === id ? message.vote : undefined;
  const restsOn = vote && machine.headers.get(vote.blockHash)?.parentView;
  if (vote && acted < vote.view) early('vote');
  if ((restsOn ?? 0) > (disk.record?.lockedView ?? 0)) early('lock');
  const claim = message.kind === 'timeout' ? message.timeout.claim : undefined;
  if (claim?.signer === id && acted < claim.view) early('timeout');
  if (message.kind !== 'proposal' || message.block.header.proposerId !== id) return;
  if ((disk.record?.lastProposal?.view ?? 0) < message.block.header.view) early('proposal');
};

const checkConduct = (judge: Judge, { id, name }: SimulatedNode, message: Message): void => {
  if (message.kind === 'timeout') {
    const { view } = message.timeout.claim;
    judge.gaveUp.set(id, Math.max(judge.gaveUp.get(id) ?? 0, view));
  }
  const vote = message.kind === 'vote' ? message.vote : undefined;
  if (vote?.signer !== id) return;
  const key = `${id}:${vote.view}`;
  const first = judge.votes.get(key);
  if (first !== undefined && first !== vote.blockHash) violate(judge, 'one vote a view', name);
  if (first === undefined && vote.view <= (judge.gaveUp.get(id) ?? 0)) {
    violate(judge, 'no vote after a timeout', `${name} view ${vote.view}`);
  }
  judge.votes.set(key, vote.blockHash);
};

const checkEffect = (judge: Judge, node: SimulatedNode, effect: Effect): void => {
  if (!isHonest(judge, node)) return;
  if (effect.kind === 'halt') {
    violate(judge, 'no honest replica halts', `${node.name}: ${effect.reason}`);
  }
  if (effect.kind !== 'evidence') return;
  const judged = verifyEvidence(effect.evidence, trustOf(node));
  judge.evidence.push({ offender: effect.offender, kind: effect.evidence.kind });
  if (!judged.ok) violate(judge, 'evidence is valid', judged.error);
  else if (!judge.byzantine.has(judged.value)) {
    violate(judge, 'evidence names no honest validator', effect.evidence.kind);
  }
};

const checkDecision = (
  judge: Judge,
  node: SimulatedNode,
  blocks: readonly IdentifiedBlock[],
  proof: AnchorProof,
): void => {
  const seen = seenOf(judge, node);
  for (const { hash, block } of blocks) {
    const { height, parentHash } = block.header;
    if ((judge.decided.get(height) ?? hash) !== hash)
      violate(judge, 'agreement', `height ${height}`);
    judge.decided.set(height, hash);
    const parent = judge.decided.get(height - 1) ?? parentHash;
    if (parent !== parentHash) violate(judge, 'prefix', `height ${height}`);
    if (height <= seen.height) continue;
    seen.height = height;
    for (const tx of block.txs) {
      if (seen.txs.has(idOf(tx))) violate(judge, 'no transaction twice', `height ${height}`);
      seen.txs.add(idOf(tx));
    }
  }
  const anchor = { view: proof.anchor.view, nextView: proof.next.view };
  for (const tc of judge.tcs) checkKnowledge(judge, anchor, tc);
  judge.anchors.push(anchor);
  if (judge.anchors.length > REMEMBERED_MAX) judge.anchors.shift();
};

/** `byzantine`: identities for which nothing is promised. `only`: judge by this invariant alone. */
export const invariants = (byzantine: ReadonlySet<HashHex>, only?: string): Invariants => {
  const judge: Judge = {
    byzantine,
    only,
    found: undefined,
    decided: new Map(),
    certified: new Map(),
    seen: new Map(),
    votes: new Map(),
    gaveUp: new Map(),
    anchors: [],
    tcs: [],
    checked: new WeakSet(),
    evidence: [],
  };
  const hooks: Hooks = {
    stepped: (node) => {
      if (!isHonest(judge, node)) return;
      checkQc(judge, node, node.machine.highQc);
      if (node.machine.tc !== null) checkTc(judge, node, node.machine.tc);
      checkSafety(judge, node);
      checkMemory(judge, node);
    },
    sent: (node, message) => {
      if (!isHonest(judge, node)) return;
      checkDurable(judge, node, message);
      checkConduct(judge, node, message);
    },
    decided: (node, blocks, proof) => {
      if (isHonest(judge, node)) checkDecision(judge, node, blocks, proof);
    },
    effect: (node, effect) => checkEffect(judge, node, effect),
  };
  return {
    hooks,
    violation: () => judge.found,
    evidence: judge.evidence,
    heights: () => judge.decided.size,
  };
};
