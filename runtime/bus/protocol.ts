/**
 * The bus as an address: a durable, partitioned log of records for each topic (Kafka's model), reached
 * through one actor, whichever driver stands behind it. Consumers pull with a long poll and own their
 * positions, so a consumer that restarts or is slow needs nothing from the bus: delivery is at least once.
 */
import { address, atom, blob, f64, list, oneOf, question, str, u32 } from '../actor.ts';

export const bus = address('bus', {
  /** Answered when the record is durable. `headers` is a JSON object of strings. */
  publish: question(
    { topic: atom, key: str, value: blob, headers: str },
    {
      outcome: oneOf('ok', 'too-large', 'unknown-topic', 'unavailable'),
      partition: u32,
      offset: f64,
    },
  ),
  /**
   * Records from `positions` (the next offset of each partition; empty: from the group's committed mark), in
   * offset order within a partition. Waits up to `waitMs` when there is none. `records`: see record.ts.
   */
  fetch: question(
    { topic: atom, group: atom, positions: list(f64), maxRecords: u32, waitMs: u32 },
    {
      outcome: oneOf('ok', 'unknown-topic', 'unavailable'),
      records: blob,
      positions: list(f64),
    },
  ),
  /** Everything below these offsets is finished for the group: where its next incarnation begins. */
  commit: { topic: atom, group: atom, positions: list(f64) },
  /** The end of each partition and the group's committed mark: their difference is the lag. */
  ends: question({ topic: atom, group: atom }, { ends: list(f64), committed: list(f64) }),
});
