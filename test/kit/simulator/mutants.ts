/** Machines with one rule wrong. Each must be caught by an invariant of the simulator, or the invariants prove nothing. */

import type { DurableRecord } from '#actors/replica/machine/record.ts';
import { RULES, type Rules } from '#actors/replica/machine/rules.ts';
import type { Qc } from '#proto/consensus/certificate.ts';

const { certificates } = RULES;

const restored = (change: (record: DurableRecord) => DurableRecord): Partial<Rules> => ({
  restore: (record) => (record === null ? null : change(record)),
});

export const MUTANTS: { readonly [name: string]: Partial<Rules> } = {
  'quorum minus one': {
    certificates: { ...certificates, quorum: (total) => certificates.quorum(total) - 1 },
  },
  'commit by height': { commits: (anchor, next) => next.height === anchor.height + 1 },
  'no lock: vote for a block that rests on nothing': {
    mayVote: (safety, ballot) => ballot.view > safety.lastActedView,
  },
  'vote on any TC of the last view': {
    mayVote: (safety, ballot) =>
      ballot.view > safety.lastActedView &&
      (ballot.qcView + 1 === ballot.view || ballot.tc?.view === ballot.view - 1),
  },
  'vote twice a view': {
    mayVote: (safety, ballot) =>
      RULES.mayVote({ ...safety, lastActedView: safety.lastActedView - 1 }, ballot),
  },
  'vote after a timeout': { afterTimeout: (safety) => safety },
  'the vote does not lock': {
    afterVote: (safety, ballot) => ({ ...safety, lastActedView: ballot.view }),
  },
  'show before it is durable': { after: () => undefined },
  'start fresh after a crash': { restore: () => null },
  'forget what was acted on': restored((record) => ({ ...record, lastActedView: 0 })),
  'forget the lock and the newest QC': restored((record) => {
    const oldest: Qc | undefined = record.lastTimeout?.highQc;
    return { ...record, lockedView: 0, highQc: oldest ?? record.highQc };
  }),
  'TC: minimum for maximum': {
    certificates: { ...certificates, maximum: (views) => Math.min(...views) },
  },
  'a signer counts as often as it signs': {
    certificates: { ...certificates, distinct: () => true },
  },
  'certificates are taken on trust': { qcIsValid: () => true },
  'propose again in the same view': {
    mayPropose: (view, safety) => view >= safety.lastActedView,
  },
};
