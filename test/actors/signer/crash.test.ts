import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hex } from '#proto/bytes.ts';
import { decodeAnomaly } from '#proto/wire/anomaly.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import { detection } from './incidents.ts';
import { Crash, messageOf, type Published, storeFile, type World, world } from './world.ts';

const START_MS = 1_800_000_000_000;
const COUNT = 4;
const seed = 20_260_801;

const answered = (told: World['told']): Set<number> =>
  new Set(
    told
      .map(({ message }) => message as { kind?: string; seq: number } | undefined)
      .filter((message) => message?.kind === 'published')
      .map((message) => message!.seq),
  );

/** Lives until `stepsMax` effects are done; the ensemble tells again whatever has no answer. */
const live = (
  file: string,
  bus: Published[],
  done: Set<number>,
  atMs: number,
  stepsMax: number,
): void => {
  let one: World | undefined;
  try {
    one = world({ file, bus, atMs, stepsMax });
    for (let n = 0; n < COUNT; n += 1) if (!done.has(n)) one.tell(messageOf(detection(n), n));
    one.run(atMs + 30_000);
    one.store.close();
  } catch (cause) {
    if (!(cause instanceof Crash)) throw cause;
  }
  for (const seq of answered(one?.told ?? [])) done.add(seq);
};

test(`whatever effect is the last before a crash, nothing accepted is lost (seed ${seed})`, () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 45 }), { maxLength: 3 }), (crashes) => {
      const file = storeFile();
      const bus: Published[] = [];
      const done = new Set<number>();
      crashes.forEach((steps, life) => {
        live(file, bus, done, START_MS + life * 60_000, steps);
      });
      live(file, bus, done, START_MS + 600_000, Number.POSITIVE_INFINITY);
      expect([...done].sort()).toEqual([0, 1, 2, 3]);
      const contents = new Map<string, Set<string>>();
      for (const { topic, value } of bus) {
        if (topic !== TOPICS.anomalies) continue;
        const read = decodeAnomaly(value);
        if (!read.ok) throw new Error(read.error.detail);
        const { contentHash, nonce } = read.value;
        const known = contents.get(hex(nonce)) ?? new Set();
        contents.set(hex(nonce), known.add(hex(contentHash)));
      }
      const published = new Set([...contents.values()].flatMap((hashes) => [...hashes]));
      expect(published.size).toBe(COUNT);
      for (const hashes of contents.values()) expect(hashes.size).toBe(1);
    }),
    { seed, numRuns: 25 },
  );
}, 30_000);

test('what was accepted before a crash is published without being told again', () => {
  const file = storeFile();
  const bus: Published[] = [];
  const before = world({ file, bus, mood: () => 'unavailable' });
  before.tell(messageOf(detection(1), 3));
  before.run(START_MS + 500);
  before.store.close();
  const after = world({ file, bus, atMs: START_MS + 10_000 });
  after.run(START_MS + 20_000);
  expect(bus.filter(({ topic }) => topic === TOPICS.anomalies)).toHaveLength(1);
  expect(answered(after.told)).toEqual(new Set([3]));
});

test('what went out just before a crash goes out again as the same bytes, a known nonce', () => {
  const file = storeFile();
  const bus: Published[] = [];
  const before = world({ file, bus, mood: () => 'lost-answer' });
  before.tell(messageOf(detection(1), 1));
  before.run(START_MS + 100);
  before.store.close();
  world({ file, bus, atMs: START_MS + 5_000 }).run(START_MS + 20_000);
  const evidence = bus.filter(({ topic }) => topic === TOPICS.evidence);
  expect(evidence).toHaveLength(2);
  expect(hex(evidence[0]!.value)).toBe(hex(evidence[1]!.value));
});
