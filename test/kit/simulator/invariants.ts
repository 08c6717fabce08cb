/** What must hold after every step, whatever the world does. The first thing that does not is the run's verdict. */

import type { Effect } from '#actors/replica/machine/events.ts';
import { type Qc, type Tc, verifyQc, verifyTc } from '#proto/consensus/certificate.ts';
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

const NODES_MAX = 64;
const TCS_MAX = 64;

type Anchored = { readonly view: number; readonly nextView: number };

/** `byzantine`: identities that are allowed to misbehave, and for which nothing is promised. */
export const invariants = (byzantine: ReadonlySet<HashHex>, only?: string): Invariants => {
  let found: Violation | undefined;
  const violate = (invariant: string, detail: string): void => {
    if (only === undefined || only === invariant) found ??= { invariant, detail };
  };
  const decisions = new Map<number, HashHex>();
  const certified = new Map<number, HashHex>();
  const heads = new Map<number, { height: number; hash: HashHex; safe: number; locked: number }>();
  const votes = new Map<string, HashHex>();
  const gaveUp = new Map<HashHex, number>();
  const anchors: Anchored[] = [];
  const tcs: { readonly view: number; readonly high: number }[] = [];
  const genuine = new WeakSet<object>();
  const txs = new Map<number, Set<HashHex>>();
  const evidence: { offender: HashHex; kind: string }[] = [];
  const isHonest = (node: SimulatedNode): boolean => !byzantine.has(node.id);

  const checkQc = (node: SimulatedNode, qc: Qc): void => {
    if (genuine.has(qc)) return;
    genuine.add(qc);
    const { rules: _, ...trust } = node.machine.trust;
    const verified = verifyQc(qc, trust);
    if (!verified.ok) violate('every QC is a quorum', `${node.name}: ${verified.error}`);
    const known = certified.get(qc.view);
    if (known !== undefined && known !== qc.blockHash) {
      violate('one QC a view', `view ${qc.view}`);
    }
    certified.set(qc.view, qc.blockHash);
  };

  const checkTc = (node: SimulatedNode, tc: Tc): void => {
    if (genuine.has(tc)) return;
    genuine.add(tc);
    const { rules: _, ...trust } = node.machine.trust;
    const verified = verifyTc(tc, trust);
    if (!verified.ok) violate('every TC is a quorum', `${node.name}: ${verified.error}`);
    const seen = { view: tc.view, high: tc.highQc.view };
    for (const anchor of anchors) checkAgainst(anchor, seen);
    tcs.push(seen);
    if (tcs.length > TCS_MAX) tcs.shift();
  };

  const checkAgainst = (anchor: Anchored, tc: { view: number; high: number }): void => {
    if (tc.view >= anchor.nextView && tc.high < anchor.view) {
      violate('a TC knows what was committed', `TC(${tc.view}) max ${tc.high}, b0 ${anchor.view}`);
    }
  };

  const checkSafety = (node: SimulatedNode): void => {
    const { safety, started } = node.machine;
    const before = heads.get(node.index);
    if (before === undefined || !started) return;
    if (safety.lastActedView < before.safe) violate('lastActedView grows', node.name);
    if (safety.lockedView < before.locked) violate('lockedView grows', node.name);
    const { record } = node.disk;
    before.safe = Math.max(before.safe, record?.lastActedView ?? 0);
    before.locked = Math.max(before.locked, record?.lockedView ?? 0);
  };

  const checkMemory = ({ machine, name }: SimulatedNode): void => {
    const bounded =
      machine.nodes.size <= NODES_MAX + machine.params.limits.syncBlocksMax &&
      machine.verified.size <= 129 &&
      machine.headers.size <= 65 &&
      machine.proposals.size <= 9 &&
      machine.own.length <= 16 &&
      machine.convicted.size <= 8 * machine.heard.size;
    if (!bounded) violate('memory is bounded', `${name}: ${machine.nodes.size} blocks`);
    for (const { votes: kept, claims } of machine.heard.values()) {
      if (kept.length > 8 || claims.length > 8) violate('memory is bounded', `${name}: history`);
    }
  };

  const checkDurable = (node: SimulatedNode, message: Message): void => {
    const acted = node.disk.record?.lastActedView ?? 0;
    const { id, name, disk } = node;
    const early = (what: string): void => violate('persisted before sent', `${name}: ${what}`);
    const vote = message.kind === 'vote' && message.vote.signer === id ? message.vote : undefined;
    const restsOn = vote && node.machine.headers.get(vote.blockHash)?.parentView;
    if (vote && acted < vote.view) early('vote');
    if ((restsOn ?? 0) > (disk.record?.lockedView ?? 0)) early('lock');
    const claim = message.kind === 'timeout' ? message.timeout.claim : undefined;
    if (claim?.signer === id && acted < claim.view) early('timeout');
    if (message.kind !== 'proposal' || message.block.header.proposerId !== id) return;
    if ((disk.record?.lastProposal?.view ?? 0) < message.block.header.view) early('proposal');
  };

  const checkConduct = (node: SimulatedNode, message: Message): void => {
    const { id, name } = node;
    if (message.kind === 'timeout') {
      const { view } = message.timeout.claim;
      gaveUp.set(id, Math.max(gaveUp.get(id) ?? 0, view));
    }
    const vote = message.kind === 'vote' ? message.vote : undefined;
    if (vote?.signer !== id) return;
    const key = `${id}:${vote.view}`;
    const first = votes.get(key);
    if (first !== undefined && first !== vote.blockHash) violate('one vote a view', name);
    if (first === undefined && vote.view <= (gaveUp.get(id) ?? 0)) {
      violate('no vote after a timeout', `${name} view ${vote.view}`);
    }
    votes.set(key, vote.blockHash);
  };

  const checkEffect = (node: SimulatedNode, effect: Effect): void => {
    if (!isHonest(node)) return;
    if (effect.kind === 'halt')
      violate('no honest replica halts', `${node.name}: ${effect.reason}`);
    if (effect.kind !== 'evidence') return;
    const { rules: _, ...trust } = node.machine.trust;
    const judged = verifyEvidence(effect.evidence, trust);
    evidence.push({ offender: effect.offender, kind: effect.evidence.kind });
    if (!judged.ok) violate('evidence is valid', judged.error);
    else if (!byzantine.has(judged.value)) {
      violate('evidence names no honest validator', effect.evidence.kind);
    }
  };

  const hooks: Hooks = {
    stepped: (node) => {
      if (!isHonest(node)) return;
      if (!heads.has(node.index)) {
        heads.set(node.index, {
          height: 0,
          hash: node.machine.genesisQc.blockHash,
          safe: 0,
          locked: 0,
        });
      }
      checkQc(node, node.machine.highQc);
      if (node.machine.tc !== null) checkTc(node, node.machine.tc);
      checkSafety(node);
      checkMemory(node);
    },
    sent: (node, message) => {
      if (!isHonest(node)) return;
      checkDurable(node, message);
      checkConduct(node, message);
    },
    decided: (node, blocks, proof) => {
      if (!isHonest(node)) return;
      const seen = txs.get(node.index) ?? new Set();
      txs.set(node.index, seen);
      for (const { hash, block } of blocks) {
        const { height, parentHash } = block.header;
        const decided = decisions.get(height);
        if (decided !== undefined && decided !== hash) violate('agreement', `height ${height}`);
        decisions.set(height, hash);
        const parent = decisions.get(height - 1);
        if (parent !== undefined && parent !== parentHash) violate('prefix', `height ${height}`);
        if (height > (heads.get(node.index)?.height ?? 0)) {
          for (const tx of block.txs) {
            if (seen.has(idOf(tx))) violate('no transaction twice', `height ${height}`);
            seen.add(idOf(tx));
          }
          heads.get(node.index)!.height = height;
        }
      }
      const anchor = { view: proof.anchor.view, nextView: proof.next.view };
      anchors.push(anchor);
      if (anchors.length > TCS_MAX) anchors.shift();
      for (const tc of tcs) checkAgainst(anchor, tc);
    },
    effect: checkEffect,
  };
  return {
    hooks,
    violation: () => found,
    evidence,
    heights: () => decisions.size,
  };
};
