/** Drivers of the bus over a test broker. */
import type { Bus } from '#runtime/bus/driver.ts';
import { openKafka } from '#runtime/bus/kafka/driver.ts';
import type { KafkaSettings } from '#runtime/bus/kafka/settings.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import type { Kafka } from './kafka.ts';

/** Where a broker listens without TLS. */
type Place = { readonly ports: Pick<Kafka['ports'], 'plain'> };

export type Said = {
  readonly level: string;
  readonly text: string;
  readonly fields: { readonly [name: string]: unknown } | undefined;
};

export type KafkaBus = Bus & {
  readonly said: readonly Said[];
  /** Topics that were told to have grown. */
  readonly grown: readonly string[];
  readonly lags: ReadonlyMap<string, number>;
};

export const CREATE = { partitions: 3, replication: 1, retentionMs: 3_600_000 } as const;

/** A driver on the plain listener; `given` changes its settings. */
export const openBus = async (
  broker: Place,
  topics: readonly string[],
  given: Partial<KafkaSettings> = {},
): Promise<KafkaBus> => {
  const said: Said[] = [];
  const grown: string[] = [];
  const lags = new Map<string, number>();
  const bus = await openKafka({
    brokers: [`127.0.0.1:${broker.ports.plain}`],
    clientId: 'test',
    tls: undefined,
    sasl: undefined,
    topics,
    create: CREATE,
    groupPrefix: '',
    recordBytesMax: 65_536,
    deliveryMs: 4000,
    requestMs: 10_000,
    now: Date.now,
    say: (level, text, fields) => void said.push({ level, text, fields }),
    appended: (topic) => void grown.push(topic),
    lag: (topic, group, records) => void lags.set(`${topic} ${group}`, records),
    ...given,
  });
  return { ...bus, said, grown, lags };
};

const RETRY_MS = 50;

/** Everything from where the group stands to the end, however often the broker has to be asked. */
export const readAll = async (
  bus: KafkaBus,
  topic: string,
  group = 'reader',
): Promise<BusRecord[]> => {
  const records: BusRecord[] = [];
  let positions: readonly number[] = [];
  for (;;) {
    const page = await bus.fetch(topic, group, positions, 500);
    if (page.outcome !== 'ok') {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      continue;
    }
    if (page.records.length === 0) return records;
    records.push(...page.records);
    positions = page.positions;
  }
};

/** Topics `a` and `b` of each storage are topics of their own on the broker, and so are its groups. */
export const contractBus =
  (broker: () => Kafka) =>
  async (storage: string): Promise<Bus> => {
    const named = (topic: string): string => `${storage}-${topic}`;
    const bus = await openBus(broker(), ['a', 'b'].map(named), { groupPrefix: `${storage}-` });
    return {
      publish: (batch) => bus.publish(batch.map((one) => ({ ...one, topic: named(one.topic) }))),
      fetch: (topic, ...rest) => bus.fetch(named(topic), ...rest),
      commit: (topic, ...rest) => bus.commit(named(topic), ...rest),
      ends: (topic, group) => bus.ends(named(topic), group),
      close: () => bus.close(),
    };
  };
