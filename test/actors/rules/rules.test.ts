import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { config } from '#actors/rules/config.ts';
import { core, type Self } from '#actors/rules/core.ts';
import {
  evaluate,
  type Judgement,
  newMemory,
  scoreOf,
  severityOf,
} from '#actors/rules/evaluate.ts';
import { io, pathOf } from '#actors/rules/io.ts';
import { parseRules, type RuleSet } from '#actors/rules/table.ts';
import { newTally, tally } from '#actors/rules/tally.ts';
import { F, FEATURE_COUNT, FLOW, HANDSHAKES, recordsOf } from '#proto/flow-batch.ts';
import { scoreAt, type Threat } from '#proto/threats.ts';
import type { IoPort } from '#runtime/actor.ts';
import { recorder } from '#runtime/recorder.ts';
import {
  ACK,
  type Packet,
  rowsOf,
  SYN,
  scan,
  session,
  synFlood,
  windowsOf,
} from '#test/kit/traffic.ts';

const text = readFileSync(pathOf('rules.yaml'), 'utf8');
const rules = (source = text): RuleSet => {
  const parsed = parseRules(source, 'a'.repeat(64));
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
};
const problemsOf = (source: string): string => {
  const parsed = parseRules(source, '');
  return parsed.ok ? '' : parsed.error;
};

const NONE = new Uint8Array(0);

type Judged = { readonly judgement: Judgement; readonly aggregates: Uint8Array };
const judged = (packets: readonly Packet[]): Judged => {
  const aggregates = windowsOf(packets);
  const windows = rowsOf(aggregates).length;
  const batch = { flows: 0, windows, vectors: NONE, columns: NONE, aggregates };
  return { judgement: evaluate(rules(), newMemory(), batch), aggregates };
};

/** The highest score of a threat over the windows of a side; -1 when all abstain. */
const best = ({ judgement, aggregates }: Judged, threat: Threat, side?: string): number =>
  rowsOf(aggregates)
    .filter((row) => side === undefined || row.side === side)
    .map((row) => scoreAt(judgement.scores, row.row, threat))
    .filter((score) => !Number.isNaN(score))
    .reduce((a, b) => Math.max(a, b), -1);

const A = '192.0.2.1';
const B = '192.0.2.2';

test('the table that comes with us is sound, and every rule names its technique, unit and limit', () => {
  const set = rules();
  expect(set.windows.length).toBeGreaterThan(15);
  for (const rule of [...set.windows, ...set.flows]) {
    expect(rule.technique).toMatch(/^T\d{4}/);
    expect(rule.limit).toBeGreaterThan(0);
    expect(rule.unit).not.toBe('');
  }
});

test('every mistake of a table is named, with its place', () => {
  const broken = text
    .replace('value: halfOpen', 'value: halfOpenn')
    .replace('{ statistic: isBroadcast, atLeast: 1 }', '{ statistic: nonsense }');
  expect(problemsOf(broken)).toMatch(/windows\[0\]\.value: no statistic is called halfOpenn/);
  expect(problemsOf(broken)).toMatch(/where\[0\]: no statistic is called nonsense/);
  expect(problemsOf(text.replace('limit: 100', 'limit: -1'))).toMatch(/windows\.0\.limit/);
  expect(problemsOf(text.replace('name: syn_ratio', 'name: syn_flood'))).toMatch(/two rules/);
  expect(problemsOf(text.replace('version: 1', 'version: 1\nextra: 2'))).toMatch(/extra/);
  expect(problemsOf('windows: [')).not.toBe('');
});

test('a score is one half at the limit, and each further limit halves the doubt', () => {
  expect(scoreOf(10, 10)).toBe(0.5);
  expect(scoreOf(20, 10)).toBe(0.75);
  expect(scoreOf(33.3, 10)).toBeGreaterThan(0.9);
  expect(scoreOf(0, 10)).toBe(0);
});

test('severity adds one for each power of ten above the limit, within 1..10', () => {
  expect(severityOf(6, 100, 100)).toBe(6);
  expect(severityOf(6, 1_000, 100)).toBe(7);
  expect(severityOf(9, 1e9, 1)).toBe(10);
  expect(severityOf(1, 0, 1)).toBe(1);
});

test('a vertical scan is a port_scan of its source, and no flood of its target', () => {
  const run = judged(scan(A, B, 200, 20));
  expect(best(run, 'port_scan', 'source')).toBeGreaterThan(0.9);
  expect(best(run, 'dos')).toBeLessThan(0.5);
  expect(best(run, 'ddos')).toBeLessThan(0.5);
});

test('a horizontal scan is a port_scan; a P2P node, with a port for each peer, is not', () => {
  const sweep = (port: (i: number) => number): Packet[] =>
    Array.from({ length: 150 }, (_, i) => ({
      atMs: i * 50,
      from: A,
      to: `198.51.100.${i}`,
      fromPort: 5_000,
      toPort: port(i),
      flags: SYN,
    }));
  expect(best(judged(sweep(() => 23)), 'port_scan', 'source')).toBeGreaterThan(0.9);
  expect(best(judged(sweep((i) => 10_000 + 37 * i)), 'port_scan', 'source')).toBeLessThan(0.5);
});

test('a SYN flood of many sources is ddos, of one source dos', () => {
  expect(best(judged(synFlood(B, 2_000, 1)), 'ddos', 'destination')).toBeGreaterThan(0.9);
  const lone = synFlood(B, 2_000, 1).map((packet) => ({ ...packet, from: A }));
  expect(best(judged(lone), 'dos', 'destination')).toBeGreaterThan(0.9);
});

test('many completed connections with data are neither scan nor SYN flood', () => {
  const visits = Array.from({ length: 80 }, (_, i) => session(i * 60, A, 2_000 + i, B, 443, 500));
  const run = judged(visits.flat());
  expect(best(run, 'port_scan')).toBeLessThan(0.5);
  expect(best(run, 'dos')).toBeLessThan(0.5);
});

test('password guessing is seen by its short sessions', () => {
  const guesses = Array.from({ length: 24 }, (_, i) =>
    session(i * 2_000, A, 2_000 + i, B, 22, 900),
  );
  const run = judged(guesses.flat());
  expect(best(run, 'brute_force', 'source')).toBeGreaterThan(0.9);
  const [first] = run.judgement.findings.filter(({ threat }) => threat === 'brute_force');
  expect(first?.reasons[0]).toMatchObject({
    feature: 'password_guessing.authSessions',
    limit: 3,
    technique: 'T1110.001',
  });
});

test('a rule whose conditions do not hold abstains instead of voting against others', () => {
  const chat = Array.from(
    { length: 60 },
    (_, i): Packet => ({
      atMs: i * 10,
      from: A,
      to: B,
      fromPort: 9,
      toPort: 7,
      flags: ACK,
      payload: 10,
    }),
  );
  const { judgement, aggregates } = judged(chat);
  for (const row of rowsOf(aggregates)) {
    expect(scoreAt(judgement.scores, row.row, 'malware_c2')).toBeNaN();
    if (row.side === 'source') expect(scoreAt(judgement.scores, row.row, 'ddos')).toBeNaN();
    else expect(scoreAt(judgement.scores, row.row, 'port_scan')).toBeNaN();
  }
});

/** Flows that sent a request which their server never answered. */
const slowFlows = (count: number, answeredBytes: number) => {
  const vectors = new Float32Array(count * FEATURE_COUNT);
  const columns = new Uint8Array(count * FLOW.size);
  const view = recordsOf(columns);
  for (let row = 0; row < count; row += 1) {
    const vector = vectors.subarray(row * FEATURE_COUNT);
    vector[F.protocol] = 6;
    vector[F.flow_duration] = 20e6;
    vector[F.fwd_act_data_pkts] = 3;
    vector[F.totlen_fwd_pkts] = 240;
    vector[F.totlen_bwd_pkts] = answeredBytes;
    FLOW.set.firstUs(view, row, 1.7e15 + row * 1e5);
    FLOW.set.destinationPort(view, row, 80);
    FLOW.set.handshake(view, row, HANDSHAKES.indexOf('complete'));
  }
  const bytes = new Uint8Array(vectors.buffer);
  return { flows: count, windows: 0, vectors: bytes, columns, aggregates: NONE };
};

test('slow requests that are never answered add up to a dos, answered ones do not', () => {
  const slow = evaluate(rules(), newMemory(), slowFlows(40, 0));
  expect(scoreAt(slow.scores, 0, 'dos')).toBeLessThan(0.1);
  expect(scoreAt(slow.scores, 39, 'dos')).toBeGreaterThan(0.9);
  const answered = evaluate(rules(), newMemory(), slowFlows(40, 5_000));
  expect(scoreAt(answered.scores, 39, 'dos')).toBeNaN();
});

test('a tally counts within its window and remembers no more keys than it may', () => {
  const counts = newTally(1_000, 2);
  expect([0, 500, 999].map((at) => tally(counts, 'a', at))).toEqual([1, 2, 3]);
  expect(tally(counts, 'a', 1_800)).toBe(2);
  tally(counts, 'b', 1_800);
  tally(counts, 'c', 1_800);
  expect([...counts.events.keys()]).toEqual(['b', 'c']);
});

const batch = (aggregates: Uint8Array, epoch = 1, seq = 1): Self => ({
  kind: 'batch',
  epoch,
  seq,
  flows: 0,
  windows: rowsOf(aggregates).length,
  vectors: NONE,
  columns: NONE,
  aggregates,
  end: false,
});

test('a broken file keeps the last good table and says so', () => {
  const state = core.init(config.parse({}));
  const fx = recorder<Self>(true);
  core.step(state, { kind: 'file', text, sha256: 'one' }, fx, 0);
  fx.take();
  core.step(state, { kind: 'file', text: 'windows: [', sha256: 'two' }, fx, 0);
  const said = fx.take();
  expect(said).toContainEqual(expect.objectContaining({ effect: 'log', level: 'error' }));
  expect(said).not.toContainEqual(expect.objectContaining({ effect: 'stop' }));
  core.step(state, batch(windowsOf(scan(A, B, 200, 20))), fx, 0);
  const [told] = fx.take().filter(({ effect }) => effect === 'tell');
  expect(told?.message).toMatchObject({ engine: 'rules', epoch: 1, seq: 1, abstained: false });
});

test('without any table the engine stops instead of calling everything harmless', () => {
  const state = core.init(config.parse({}));
  const fx = recorder<Self>();
  core.step(state, { kind: 'file', text: 'version: 7', sha256: 'x' }, fx, 0);
  expect(fx.take()).toContainEqual(expect.objectContaining({ effect: 'stop', reason: 'halt' }));
});

test('a new table counts from the next batch on', () => {
  const state = core.init(config.parse({}));
  const fx = recorder<Self>();
  const windows = windowsOf(scan(A, B, 200, 20));
  const findings = (): number => {
    core.step(state, batch(windows), fx, 0);
    const [told] = fx.take().filter(({ effect }) => effect === 'tell');
    const { reasons } = told!.message as { readonly reasons: Uint8Array };
    return (JSON.parse(new TextDecoder().decode(reasons)) as unknown[]).length;
  };
  core.step(state, { kind: 'file', text, sha256: 'one' }, fx, 0);
  expect(findings()).toBeGreaterThan(0);
  const lenient = text.replaceAll(/limit: \d+/g, 'limit: 1000000');
  core.step(state, { kind: 'file', text: lenient, sha256: 'two' }, fx, 0);
  fx.take();
  expect(findings()).toBe(0);
});

test('batches of an older epoch are dropped', () => {
  const state = core.init(config.parse({}));
  const fx = recorder<Self>();
  core.step(state, { kind: 'file', text, sha256: 'one' }, fx, 0);
  core.step(state, batch(NONE, 2, 1), fx, 0);
  fx.take();
  core.step(state, batch(NONE, 1, 9), fx, 0);
  expect(fx.take()).toEqual([]);
});

test('a change of the file is noticed', async () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'rules-'));
  const file = path.join(folder, 'rules.yaml');
  writeFileSync(file, text);
  const seen: Self[] = [];
  const port = { deliver: (message: Self) => seen.push(message) > 0 } as unknown as IoPort<Self>;
  const adapter = await io(config.parse({ file, reloadEveryMs: 100 }), port);
  try {
    expect(seen).toMatchObject([{ kind: 'file', text }]);
    writeFileSync(file, `${text}\n# changed`);
    for (let i = 0; i < 50 && seen.length < 2; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(seen[1]).toMatchObject({ kind: 'file', text: `${text}\n# changed` });
    rmSync(file);
    for (let i = 0; i < 50 && seen.length < 3; i += 1) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(seen[2]).toMatchObject({ kind: 'unreadable' });
  } finally {
    await adapter.close?.();
    rmSync(folder, { recursive: true, force: true });
  }
});
