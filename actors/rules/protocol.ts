import { address } from '#runtime/actor.ts';
import { scoredBatch } from '../ensemble/protocol.ts';

/** The rules engine: named thresholds over flows and windows. Answers each batch to the ensemble. */
export const rules = address('rules', {
  batch: scoredBatch,
});
