import { address, bool, shared, u32 } from '#runtime/actor.ts';

/** The math engine: statistics of the windows against a baseline learnt online. Answers each batch to the ensemble. */
export const math = address('math', {
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
