/** A bus of one partition a topic, in memory, that several cores of a test may share. */
import { type BusRecord, encodeRecords } from '#runtime/bus/record.ts';
import type { Asked, Driver } from './core-driver.ts';

export type TestBus = {
  readonly topics: Map<string, BusRecord[]>;
  /** What publishers are told from now on. */
  outcome: 'ok' | 'unavailable' | 'too-large';
};

export const testBus = (): TestBus => ({ topics: new Map(), outcome: 'ok' });

export const recordsIn = (bus: TestBus, topic: string): BusRecord[] => {
  const records = bus.topics.get(topic) ?? [];
  bus.topics.set(topic, records);
  return records;
};

export const appendTo = (
  bus: TestBus,
  topic: string,
  record: Pick<BusRecord, 'key' | 'value' | 'headers' | 'timestampMs'>,
): number => {
  const records = recordsIn(bus, topic);
  const offset = records.length;
  records.push({ partition: 0, offset, ...record });
  return offset;
};

/** The counter of one consumer: its long polls and its marks. */
export type Desk = {
  readonly marks: Map<string, number>;
  /** Answers fetch and publish; false: another question. */
  readonly ask: (message: Asked, resume: Asked) => boolean;
  /** Serves the polls for which something has come. */
  readonly serve: () => void;
  /** The open poll of a topic starts from `offset`, as after a restart. */
  readonly rewind: (topic: string, offset: number) => void;
};

type Poll = { readonly resume: Asked; from: number };

export const deskAt = (
  bus: TestBus,
  driver: () => Pick<Driver<never>, 'answer' | 'nowMs'>,
): Desk => {
  const marks = new Map<string, number>();
  const polls = new Map<string, Poll>();
  const serve = (): void => {
    for (const [topic, { resume, from }] of polls) {
      const records = recordsIn(bus, topic).slice(from);
      if (records.length === 0) continue;
      polls.delete(topic);
      const positions = [from + records.length];
      driver().answer(resume, { outcome: 'ok', records: encodeRecords(records), positions });
    }
  };
  const publish = (message: Asked, resume: Asked): void => {
    const { outcome } = bus;
    const offset =
      outcome === 'ok'
        ? appendTo(bus, String(message.topic), {
            key: String(message.key),
            value: message.value as Uint8Array,
            headers: JSON.parse(String(message.headers)),
            timestampMs: driver().nowMs,
          })
        : 0;
    driver().answer(resume, { outcome, partition: 0, offset });
  };
  return {
    marks,
    serve,
    ask: (message, resume) => {
      if (message.kind === 'publish') publish(message, resume);
      else if (message.kind === 'fetch') {
        const topic = String(message.topic);
        const [from = marks.get(topic) ?? 0] = message.positions as number[];
        polls.set(topic, { resume, from });
        serve();
      } else return false;
      return true;
    },
    rewind: (topic, offset) => {
      const poll = polls.get(topic);
      if (poll !== undefined) poll.from = offset;
      serve();
    },
  };
};
