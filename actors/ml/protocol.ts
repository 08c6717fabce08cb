import { address, bool, shared, u32 } from '#runtime/actor.ts';

/**
 * The machine-learning engine: scores finished flows with an ONNX model. Answers each batch to the
 * ensemble.
 */
export const ml = address('ml', {
  /** `vectors` Float32 flows x 79, `columns` flows x FLOW, `aggregates` windows x WINDOW. */
  batch: {
    epoch: u32,
    seq: u32,
    flows: u32,
    windows: u32,
    vectors: shared,
    columns: shared,
    aggregates: shared,
    end: bool,
  },
});
