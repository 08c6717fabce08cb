/** Dead letters of the bus (`ai.dlq.v1`): read, told apart, and published again as they were. */
import { DLQ_HEADERS, TOPICS } from '#proto/wire/topics.ts';
import type { Bus, PublishOutcome } from '#runtime/bus/driver.ts';
import type { BusRecord } from '#runtime/bus/record.ts';

export type DeadLetter = {
  /** `partition:offset` in the topic of dead letters. */
  readonly id: string;
  readonly atMs: number;
  readonly code: string;
  readonly detail: string;
  /** Canonical name of the topic that it came from, and where it lay there. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: string;
  readonly value: Uint8Array;
  /** What the record carried besides. */
  readonly headers: { readonly [name: string]: string };
};

/** On a record that was replayed: the id of its dead letter. Verifiers do not read it. */
export const REPLAYED_HEADER = 'replayed-from';

/** A consumer group that never commits: reading dead letters moves nothing. */
const GROUP = 'dlq-reader';
const PAGE_RECORDS = 512;
const OWN: readonly string[] = Object.values(DLQ_HEADERS);

export const letterOf = (record: BusRecord): DeadLetter => {
  const { headers } = record;
  const rest = Object.entries(headers).filter(([name]) => !OWN.includes(name));
  return {
    id: `${record.partition}:${record.offset}`,
    atMs: record.timestampMs,
    code: headers[DLQ_HEADERS.code] ?? '',
    detail: headers[DLQ_HEADERS.detail] ?? '',
    topic: headers[DLQ_HEADERS.topic] ?? '',
    partition: Number(headers[DLQ_HEADERS.partition] ?? -1),
    offset: Number(headers[DLQ_HEADERS.offset] ?? -1),
    key: record.key,
    value: record.value,
    headers: Object.fromEntries(rest),
  };
};

/** Which letters are meant: all that is given must hold. */
export type Wanted = {
  readonly ids?: readonly string[] | undefined;
  readonly code?: string | undefined;
  readonly topic?: string | undefined;
};

const isWanted = (letter: DeadLetter, { ids, code, topic }: Wanted): boolean =>
  (ids === undefined || ids.length === 0 || ids.includes(letter.id)) &&
  (code === undefined || letter.code === code) &&
  (topic === undefined || letter.topic === topic);

const TRIES = 5;

/** A busy broker may need a moment more than one question allows. */
const patiently = async <T>(ask: () => Promise<T | undefined>): Promise<T> => {
  for (let k = 1; k < TRIES; k++) {
    const answer = await ask().catch(() => undefined); // the last try says what is wrong
    if (answer !== undefined) return answer;
  }
  const answer = await ask();
  if (answer === undefined) throw new Error('the bus does not answer');
  return answer;
};

/**
 * The wanted letters that are there now, at most the newest `max`, oldest first within a partition. `names` gives a topic
 * its name on the broker. Rejects with a sentence where the bus cannot be read.
 */
export const readLetters = async (
  bus: Bus,
  names: (topic: string) => string,
  wanted: Wanted,
  max: number,
): Promise<DeadLetter[]> => {
  const topic = names(TOPICS.dlq);
  const { ends } = await patiently(() => bus.ends(topic, GROUP));
  const letters: DeadLetter[] = [];
  let positions: readonly number[] = [];
  for (;;) {
    const from = positions;
    const page = await patiently(async () => {
      const found = await bus.fetch(topic, GROUP, from, PAGE_RECORDS);
      return found.outcome === 'ok' ? found : undefined;
    });
    letters.push(...page.records.map(letterOf).filter((one) => isWanted(one, wanted)));
    if (letters.length > max) letters.splice(0, letters.length - max);
    positions = page.positions;
    const atEnd = positions.every((position, part) => position >= (ends[part] ?? 0));
    const stuck = positions.every((position, part) => position === from[part]);
    if (atEnd || stuck) return letters;
  }
};

export type Replayed = { readonly letter: DeadLetter; readonly outcome: PublishOutcome };

/** Publishes the original bytes under their key to where they came from. */
export const replay = async (
  bus: Bus,
  names: (topic: string) => string,
  letters: readonly DeadLetter[],
): Promise<readonly Replayed[]> => {
  const outcomes = await bus.publish(
    letters.map(({ id, topic, key, value, headers }) => ({
      topic: names(topic),
      key,
      value,
      headers: { ...headers, [REPLAYED_HEADER]: id },
    })),
  );
  return letters.map((letter, k) => ({ letter, outcome: outcomes[k]! }));
};
