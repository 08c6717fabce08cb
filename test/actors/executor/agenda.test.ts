import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Agenda, agenda, dueBy, note, SUBJECTS } from '#actors/executor/agenda.ts';
import { defaultParameters } from '#proto/genesis.ts';
import { encodeState, minuteOf, nonceStateKey, offenceKey, policyKey } from '#proto/state.ts';

const SEED = 20_260_301;
const TIME_MS = 1_780_000_000_000;

type Write = { readonly key: string; readonly value: Uint8Array | null };

const at = fc.integer({ min: 0, max: 3_000_000 }).map((ms) => TIME_MS + ms);
const number = fc.nat({ max: 5 });
const policy = fc.tuple(number, fc.option(at, { nil: null })).map(([n, expiresMs]): Write => {
  const key = policyKey(`p${n}`);
  return { key, value: expiresMs === null ? null : encodeState({ expiresMs }) };
});
const nonce = fc.tuple(at, number, fc.boolean()).map(([ms, n, gone]): Write => {
  const key = nonceStateKey(minuteOf(ms), 'producer', `n${n}`);
  return { key, value: gone ? null : encodeState('content') };
});
const offence = fc.tuple(number, at).map(([n, lastMs]): Write => {
  return { key: offenceKey(`t${n}`, 'drop'), value: encodeState({ count: 1, lastMs }) };
});
const writes = fc.array(fc.oneof(policy, nonce, offence), { maxLength: 60 });

const listed = (book: Agenda, timeMs: number) =>
  SUBJECTS.map((subject) => [...dueBy(book, subject, timeMs)]);

test('an agenda kept write by write is the one rebuilt from what is left', () => {
  fc.assert(
    fc.property(writes, at, (history, timeMs) => {
      const kept = agenda(defaultParameters);
      const state = new Map<string, Uint8Array>();
      for (const { key, value } of history) {
        note(kept, key, value);
        if (value === null) state.delete(key);
        else state.set(key, value);
      }
      const rebuilt = agenda(defaultParameters);
      for (const [key, value] of [...state].reverse()) note(rebuilt, key, value);
      const later = timeMs + defaultParameters.ladderMemoryMs;
      for (const when of [timeMs, later]) expect(listed(kept, when)).toEqual(listed(rebuilt, when));
      expect(kept.dueMs).toEqual(new Map([...kept.dueMs].filter(([key]) => state.has(key))));
    }),
    { seed: SEED, numRuns: 200 },
  );
});

test('what is due comes in the order of its time, then of its key', () => {
  const book = agenda(defaultParameters);
  for (const [id, expiresMs] of [
    ['b', 5000],
    ['a', 5000],
    ['c', 100],
    ['d', 9_000_000],
  ] as const) {
    note(book, policyKey(id), encodeState({ expiresMs }));
  }
  const due = [...dueBy(book, 'policies', 60_000)].map((one) => one.key);
  expect(due).toEqual(['policies/c', 'policies/a', 'policies/b']);
});
