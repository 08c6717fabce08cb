import { address } from '#runtime/actor.ts';
import { scoredBatch } from '../ensemble/protocol.ts';

/**
 * The machine-learning engine: scores finished flows with an ONNX model. Answers each batch to the
 * ensemble.
 */
export const ml = address('ml', {
  batch: scoredBatch,
});
