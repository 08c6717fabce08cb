import { address } from '#runtime/actor.ts';
import { scoredBatch } from '../ensemble/protocol.ts';

/** The math engine: statistics of the windows against a baseline learnt online. Answers each batch to the ensemble. */
export const math = address('math', {
  batch: scoredBatch,
});
