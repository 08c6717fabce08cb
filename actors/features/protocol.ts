import { address, bool, shared, str, u32 } from '#runtime/actor.ts';

/**
 * Turns packets (or finished flows) into feature vectors and windows, for the engines and the
 * ensemble.
 */
export const features = address('features', {
  /** `count` records of PACKET (proto/flow-batch.ts) in capture order. */
  packets: {
    epoch: u32,
    seq: u32,
    count: u32,
    packets: shared,
    /** `kind:base name` of what is read in this epoch, or the kind alone. */
    capture: str,
    /** The file ends here: every open flow and window is finished. */
    flush: bool,
    /** Nothing comes after this. */
    end: bool,
  },
  /** `count` finished flows: Float32 count x 79, and as many records of FLOW. */
  rows: {
    epoch: u32,
    seq: u32,
    count: u32,
    vectors: shared,
    columns: shared,
    capture: str,
    flush: bool,
    end: bool,
  },
});
