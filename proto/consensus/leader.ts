/** Who proposes in a view: a pure function of what the epoch began with. */
import type { Committee } from './committee.ts';
import { someHonest } from './quorum.ts';
import type { HashHex } from './shape.ts';

/** The validators that may lead, given their reputation at the epoch's start. */
export const eligibleLeaders = (
  committee: Pick<Committee, 'validators'>,
  reputationOf: (id: HashHex) => number,
  reputationMin: number,
): readonly HashHex[] => {
  const all = committee.validators;
  const good = all.filter((validator) => reputationOf(validator.id) >= reputationMin);
  const enough = someHonest(all.length);
  return (good.length >= enough ? good : all).map((validator) => validator.id).sort();
};

/** View 0 belongs to genesis; the first proposal has view 1. */
export const leaderOf = (committee: Committee, view: number): HashHex => {
  const { eligible } = committee;
  const id = eligible[view % eligible.length];
  if (id === undefined) throw new Error('a committee without a leader');
  return id;
};
