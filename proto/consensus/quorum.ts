/**
 * How much voting power decides. Written once, here; no setting changes it.
 *
 * Two quorums of q out of W share at least 2q - W; that must exceed what may be faulty, f = W - q (so that the rest
 * can decide alone). floor(2W/3) + 1 is the least q for which both hold: 2q - W >= f + 1.
 */

/** Voting power whose agreement certifies. `totalWeight` is a positive integer. */
export const quorum = (totalWeight: number): number => Math.floor((2 * totalWeight) / 3) + 1;

/** Voting power that may be faulty without harm: the f of the papers. */
export const faultyMax = (totalWeight: number): number => totalWeight - quorum(totalWeight);

/** Voting power among which at least one validator is honest: f + 1. */
export const someHonest = (totalWeight: number): number => faultyMax(totalWeight) + 1;
