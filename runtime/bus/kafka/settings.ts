/** What the Kafka driver is told, and the words in which it tells. */
export type Tls = {
  /** PEM texts. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** The name that the broker's certificate must have, where it is not the host of `brokers`. */
  readonly servername?: string;
};

export type Sasl = {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512';
  readonly username: string;
  readonly password: string;
};

export type NewTopics = {
  readonly partitions: number;
  readonly replication: number;
  readonly retentionMs: number;
  /** Copies that must hold a record before its publisher is told so; default 2 of 3 or more, else 1. */
  readonly inSyncMin?: number | undefined;
};

export type KafkaSettings = {
  /** `host:port`, at least one. */
  readonly brokers: readonly string[];
  readonly clientId: string;
  readonly tls: Tls | undefined;
  readonly sasl: Sasl | undefined;
  /** Every topic that is published to or read, by its name on the broker. */
  readonly topics: readonly string[];
  /** Missing topics are made with these settings; undefined: they are named and the start fails. */
  readonly create: NewTopics | undefined;
  /** Stands before the names of consumer groups. */
  readonly groupPrefix: string;
  readonly recordBytesMax: number;
  /** A publisher hears `unavailable` after this time at the latest. */
  readonly deliveryMs: number;
  /** A broker that leaves a request unanswered for so long is connected to anew. */
  readonly requestMs: number;
  readonly now: () => number;
  readonly say: Say;
  /** A topic has grown, whoever published: polls that wait may read again. */
  readonly appended: (topic: string) => void;
  /** How far a group is behind the end of a topic, records. */
  readonly lag: (topic: string, group: string, records: number) => void;
};

export type Say = (
  level: 'info' | 'warn' | 'error',
  text: string,
  fields?: { readonly [name: string]: unknown },
) => void;
