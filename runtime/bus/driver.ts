/** What stands behind the bus actor. The contract tests run the same on every driver. */
import type { BusRecord } from './record.ts';

export type Publish = {
  readonly topic: string;
  readonly key: string;
  readonly value: Uint8Array;
  readonly headers: { readonly [name: string]: string };
};

export type PublishOutcome =
  | { readonly outcome: 'ok'; readonly partition: number; readonly offset: number }
  | { readonly outcome: 'too-large' | 'unknown-topic' | 'unavailable' };

export type FetchOutcome =
  | {
      readonly outcome: 'ok';
      readonly records: readonly BusRecord[];
      /** The next offset of each partition after these records. */
      readonly positions: readonly number[];
    }
  | { readonly outcome: 'unknown-topic' | 'unavailable' };

export type Bus = {
  /** Appends a batch; durable when the promise resolves, one outcome a message, in order. */
  publish(batch: readonly Publish[]): Promise<readonly PublishOutcome[]>;
  /** What is there now, without waiting: at most `recordsMax` and about 4 MiB. */
  fetch(
    topic: string,
    group: string,
    positions: readonly number[],
    recordsMax: number,
  ): Promise<FetchOutcome>;
  commit(topic: string, group: string, positions: readonly number[]): Promise<void>;
  ends(
    topic: string,
    group: string,
  ): Promise<{ readonly ends: readonly number[]; readonly committed: readonly number[] }>;
  close(): Promise<void>;
};

/** Partition of a key: one entity stays in order. FNV-1a, 32 bits. */
export const partitionOf = (key: string, partitions: number): number => {
  let hash = 0x811c9dc5;
  for (let k = 0; k < key.length; k++) {
    hash = Math.imul(hash ^ key.charCodeAt(k), 0x01000193);
  }
  return (hash >>> 0) % partitions;
};
