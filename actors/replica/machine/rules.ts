/**
 * What makes the machine safe, in one place: vote, lock, timeout, commit, certificate and durability.
 *
 * 2-chain HotStuff as in Jolteon (arXiv 2106.10362, figure 2; the same rules as Aptos' safety_rules_2chain). The
 * machine takes them as a record of small functions, so that a test can hand it a wrong one and see the harm done;
 * production knows RULES alone.
 */
import { commits } from '#proto/consensus/anchor.ts';
import {
  CERTIFICATE_RULES,
  type CertificateRules,
  type Qc,
  type Trust,
  verifyQc,
} from '#proto/consensus/certificate.ts';
import type { Committee } from '#proto/consensus/committee.ts';
import { leaderOf } from '#proto/consensus/leader.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { Seq } from './events.ts';
import type { DurableRecord } from './record.ts';

/** Both only grow, over restarts too. */
export type Safety = {
  /** Highest view with an own vote or timeout. */
  readonly lastActedView: number;
  /** Highest view of a QC that an own vote was given on. */
  readonly lockedView: number;
};

/** What a vote is judged by: the block's view and what it rests on. */
export type Ballot = {
  readonly view: number;
  /** View of the QC of the block's parent. */
  readonly qcView: number;
  /** The TC that came with the proposal, its view and the highest QC view in it. */
  readonly tc: { readonly view: number; readonly maximum: number } | null;
};

export type Placed = { readonly view: number; readonly height: number };

export type Rules = {
  readonly certificates: CertificateRules;
  qcIsValid(qc: Qc, trust: Trust): boolean;
  leader(committee: Committee, view: number): HashHex;
  mayVote(safety: Safety, ballot: Ballot): boolean;
  afterVote(safety: Safety, ballot: Ballot): Safety;
  mayTimeout(safety: Safety, view: number, highQcView: number): boolean;
  afterTimeout(safety: Safety, view: number): Safety;
  mayPropose(view: number, safety: Safety, lastProposalView: number): boolean;
  commits(anchor: Placed, next: Placed): boolean;
  /** What a message that shows an own signature waits for. */
  after(seq: Seq): Seq | undefined;
  restore(record: DurableRecord | null): DurableRecord | null;
};

/** A block may follow the QC of the view before its own; or the TC of that view, on a QC as new as any in it. */
export const rests = ({ view, qcView, tc }: Ballot): boolean =>
  qcView + 1 === view || (tc !== null && tc.view + 1 === view && qcView >= tc.maximum);

export const RULES: Rules = {
  certificates: CERTIFICATE_RULES,
  qcIsValid: (qc, trust) => verifyQc(qc, trust).ok,
  leader: leaderOf,

  mayVote: (safety, ballot) => ballot.view > safety.lastActedView && rests(ballot),

  afterVote: (safety, ballot) => ({
    lastActedView: Math.max(safety.lastActedView, ballot.view),
    lockedView: Math.max(safety.lockedView, ballot.qcView),
  }),

  mayTimeout: (safety, view, highQcView) =>
    view >= safety.lastActedView && highQcView >= safety.lockedView,

  afterTimeout: (safety, view) => ({
    lastActedView: Math.max(safety.lastActedView, view),
    lockedView: safety.lockedView,
  }),

  mayPropose: (view, safety, lastProposalView) =>
    view > lastProposalView && view > safety.lastActedView,

  commits: (anchor, next) => commits(anchor.view, next.view),

  after: (seq) => seq,

  restore: (record) => record,
};
