import { address, u32 } from '#runtime/actor.ts';

/**
 * Reads packets or flows from its source and hands them to `features`, in batches numbered by
 * (epoch, seq). An epoch is one reading from a durable position: a new one makes everybody behind
 * it forget what they held and begin anew. Each file of a source is an epoch of its own.
 */
export const telemetry = address('telemetry', {
  /**
   * From ensemble: every batch of `epoch` up to and including `seq` (of the messages that features
   * sends on) is finished, its anomalies durably published or dropped. A low-water mark: later ones
   * may be skipped, earlier ones repeated.
   */
  processed: { epoch: u32, seq: u32 },
  /**
   * From features: the input batch `seq` of `epoch` has gone on as output batches up to `lastSeq`.
   */
  passed: { epoch: u32, seq: u32, lastSeq: u32 },
  /** From ensemble, at its start: begin again at the durable position, with a new epoch. */
  resume: {},
});
