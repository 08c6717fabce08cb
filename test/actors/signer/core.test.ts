import { expect, test } from 'vitest';
import { crypto } from '#native/crypto.ts';
import { equal, hex } from '#proto/bytes.ts';
import { decodeAnomaly } from '#proto/wire/anomaly.ts';
import { decodeEvidence } from '#proto/wire/evidence.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import { verify } from '#proto/wire/verification.ts';
import { detection } from './incidents.ts';
import { identity, messageOf, type Published, storeFile, world } from './world.ts';

const START_MS = 1_800_000_000_000;
const anomalies = (bus: readonly Published[]): Published[] =>
  bus.filter(({ topic }) => topic === TOPICS.anomalies);
const decoded = (one: Published) => {
  const read = decodeAnomaly(one.value);
  if (!read.ok) throw new Error(read.error.detail);
  return read.value;
};
const nonceOf = (one: Published): string => {
  const read =
    one.topic === TOPICS.anomalies ? decodeAnomaly(one.value) : decodeEvidence(one.value);
  if (!read.ok) throw new Error(read.error.detail);
  return hex(read.value.nonce);
};
const repliesOf = (told: readonly unknown[]) =>
  (told as { to: string; message: Record<string, unknown> }[])
    .filter(({ to }) => to === 'ensemble')
    .map(({ message }) => message);

test('a detection becomes its evidence and then its anomaly, both of which a validator accepts', () => {
  const one = world({ file: storeFile() });
  one.tell(messageOf(detection(1), 7));
  one.run(START_MS + 100);
  expect(one.bus.map(({ topic }) => topic)).toEqual([TOPICS.evidence, TOPICS.anomalies]);
  for (const { topic, value, atMs, key } of one.bus) {
    expect(key).toBe('10.0.0.1');
    const believed = verify(topic, value, {
      crypto,
      nowMs: atMs,
      roleOf: (key32) => (equal(key32, identity.keys.publicKey) ? 'detector' : undefined),
      nonceSeen: () => undefined,
      contentKnown: () => false,
      detectorsMayPropose: false,
    });
    expect(believed.ok ? 'believed' : believed.error).toBe('believed');
  }
  const { id } = decoded(one.bus[1]!);
  expect(repliesOf(one.told)).toEqual([
    { kind: 'published', id, outcome: 'published', epoch: 1, seq: 7 },
  ]);
});

test('feedback learns of a detection when it is durable, before it is on the bus', () => {
  const one = world({ file: storeFile(), mood: () => 'unavailable' });
  one.tell(messageOf(detection(1), 1));
  one.run(START_MS + 50);
  expect(one.told).toMatchObject([{ to: 'feedback', message: { kind: 'detected' } }]);
  expect(one.store.waiting()).toHaveLength(1);
});

test('no second sees more than the limit, and everything arrives', () => {
  const one = world({ file: storeFile(), settings: { perSecondMax: 10, inFlightMax: 100 } });
  for (let n = 0; n < 45; n += 1) one.tell(messageOf(detection(n), n));
  one.run(START_MS + 10_000);
  const times = anomalies(one.bus).map(({ atMs }) => atMs);
  expect(times).toHaveLength(45);
  for (const from of times) {
    expect(times.filter((at) => at >= from && at < from + 1_000).length).toBeLessThanOrEqual(10);
  }
});

test('an unavailable bus is tried again with growing pauses until it takes the message', () => {
  const times: number[] = [];
  const one = world({
    file: storeFile(),
    mood: (attempt, atMs) => {
      times.push(atMs);
      return attempt <= 5 ? 'unavailable' : 'ok';
    },
  });
  one.tell(messageOf(detection(1), 1));
  one.run(START_MS + 60_000);
  const pauses = times.slice(1, 6).map((at, k) => at - times[k]!);
  expect(pauses).toEqual([102, 202, 402, 802, 1_602]);
  expect(anomalies(one.bus)).toHaveLength(1);
});

test('what could not be sent for four minutes is signed afresh', () => {
  const one = world({
    file: storeFile(),
    mood: (_, atMs) => (atMs < START_MS + 250_000 ? 'unavailable' : 'ok'),
  });
  one.tell(messageOf(detection(1), 1));
  one.run(START_MS + 300_000);
  const [sent] = anomalies(one.bus);
  const event = decoded(sent!);
  expect(sent!.atMs / 1000 - event.ts).toBeLessThan(240);
  expect(event.ts * 1000).toBeGreaterThanOrEqual(START_MS + 240_000);
});

test('a message whose answer was lost goes out again as the same bytes', () => {
  const one = world({
    file: storeFile(),
    mood: (attempt) => (attempt === 2 ? 'lost-answer' : 'ok'),
  });
  one.tell(messageOf(detection(1), 1));
  one.run(START_MS + 20_000);
  const [first, second] = anomalies(one.bus);
  expect(equal(first!.value, second!.value)).toBe(true);
  expect(repliesOf(one.told)).toHaveLength(1);
});

test('the messages of one entity keep their order when one of them is retried', () => {
  const one = world({
    file: storeFile(),
    mood: (attempt) => (attempt < 4 ? 'unavailable' : 'ok'),
  });
  for (let n = 1; n <= 3; n += 1) one.tell(messageOf(detection(n, '10.9.9.9'), n));
  one.run(START_MS + 30_000);
  const flows = anomalies(one.bus).map(
    (sent) => JSON.parse(new TextDecoder().decode(decoded(sent).payload)).flows,
  );
  expect(flows).toEqual([1, 2, 3]);
});

test('published content that comes again is a duplicate and is not sent', () => {
  const one = world({ file: storeFile() });
  one.tell(messageOf(detection(1), 1));
  one.run(START_MS + 1_000);
  one.tell(messageOf(detection(1), 9, 2));
  one.run(START_MS + 2_000);
  expect(anomalies(one.bus)).toHaveLength(1);
  expect(repliesOf(one.told).at(-1)).toMatchObject({ outcome: 'duplicate', epoch: 2, seq: 9 });
});

test('content that comes again while it waits is answered once, with the newest epoch', () => {
  const one = world({
    file: storeFile(),
    mood: (_, atMs) => (atMs < START_MS + 3_000 ? 'unavailable' : 'ok'),
  });
  one.tell(messageOf(detection(1), 1));
  one.run(START_MS + 1_000);
  one.tell(messageOf(detection(1), 4, 2));
  one.run(START_MS + 20_000);
  expect(repliesOf(one.told)).toMatchObject([{ outcome: 'published', epoch: 2, seq: 4 }]);
});

test('a full outbox drops what is new, says so, and keeps what it has', () => {
  const settings = { outboxMax: 2 };
  const one = world({ file: storeFile(), settings, mood: () => 'unavailable' });
  for (let n = 1; n <= 3; n += 1) one.tell(messageOf(detection(n), n));
  one.run(START_MS + 100);
  expect(repliesOf(one.told)).toMatchObject([{ outcome: 'dropped', seq: 3 }]);
  expect(one.store.waiting()).toHaveLength(2);
});

test('a detection whose envelope is not its payload never enters the outbox', () => {
  const one = world({ file: storeFile() });
  one.tell(messageOf({ ...detection(1), severity: 3 }, 1));
  one.run(START_MS + 100);
  expect(one.bus).toEqual([]);
  expect(repliesOf(one.told)).toMatchObject([{ outcome: 'dropped' }]);
});

test('what the bus refuses for good is dropped and does not block the next', () => {
  const one = world({
    file: storeFile(),
    mood: (attempt) => (attempt === 1 ? 'too-large' : 'ok'),
  });
  one.tell(messageOf(detection(1), 1));
  one.tell(messageOf(detection(2), 2));
  one.run(START_MS + 1_000);
  expect(repliesOf(one.told)).toMatchObject([
    { seq: 1, outcome: 'dropped' },
    { seq: 2, outcome: 'published' },
  ]);
});

test('after the end of the source feedback is told once, when the outbox is empty', () => {
  const one = world({
    file: storeFile(),
    mood: (_, atMs) => (atMs < START_MS + 2_000 ? 'unavailable' : 'ok'),
  });
  one.tell(messageOf(detection(1), 1));
  one.tell({ kind: 'ended', epoch: 1 });
  const drained = () =>
    one.told.filter(({ message }) => (message as { kind: string })?.kind === 'drained');
  one.run(START_MS + 1_000);
  expect(drained()).toEqual([]);
  one.run(START_MS + 20_000);
  expect(drained()).toMatchObject([{ to: 'feedback', message: { published: 1 } }]);
});

test('a drained signer stops when its outbox is empty, not before', () => {
  const one = world({ file: storeFile() });
  one.tell(messageOf(detection(1), 1));
  one.run(START_MS);
  one.drain();
  expect(one.told.some(({ effect }) => effect === 'stop')).toBe(false);
  one.run(START_MS + 1_000);
  expect(one.told.at(-1)).toMatchObject({ effect: 'stop', reason: 'normal' });
});

test('a stop does not wait for a bus that is away: what is left goes out at the next start', () => {
  const file = storeFile();
  const one = world({ file, mood: (_, atMs) => (atMs < START_MS + 5_000 ? 'unavailable' : 'ok') });
  one.tell(messageOf(detection(1), 1));
  one.run(START_MS + 1_000);
  one.drain();
  one.run(START_MS + 2_500);
  expect(one.told.at(-1)).toMatchObject({ effect: 'stop', reason: 'normal' });
  one.store.close();
  const next = world({ file, atMs: START_MS + 10_000 });
  next.run(START_MS + 20_000);
  expect(anomalies(next.bus)).toHaveLength(1);
});

test('a stop waits for a long outbox only as long as it may', () => {
  const one = world({ file: storeFile(), settings: { perSecondMax: 1, drainMaxMs: 2_000 } });
  for (let n = 0; n < 10; n += 1) one.tell(messageOf(detection(n), n));
  one.run(START_MS);
  one.drain();
  one.run(START_MS + 2_000);
  expect(one.told.some(({ effect }) => effect === 'stop')).toBe(true);
  expect(one.store.waiting().length).toBeGreaterThan(5);
});

test('no nonce is used for two messages, restarts within a millisecond included', () => {
  const file = storeFile();
  const bus: Published[] = [];
  for (let life = 0; life < 5; life += 1) {
    const one = world({ file, bus, atMs: START_MS });
    for (let n = 0; n < 20; n += 1) one.tell(messageOf(detection(life * 20 + n), n));
    one.run(START_MS + 3_000);
    one.store.close();
  }
  const nonces = bus.map(nonceOf);
  expect(nonces).toHaveLength(200);
  expect(new Set(nonces).size).toBe(200);
});
