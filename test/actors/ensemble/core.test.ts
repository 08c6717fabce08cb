import { expect, test } from 'vitest';
import { config } from '#actors/ensemble/config.ts';
import { ensembleCore, type Self, type State } from '#actors/ensemble/core.ts';
import type { Engine } from '#actors/ensemble/protocol.ts';
import { crypto } from '#native/crypto.ts';
import { parseAnomalyPayload } from '#proto/anomaly-payload.ts';
import { hex, utf8 } from '#proto/bytes.ts';
import { bytesOf, WINDOW } from '#proto/flow-batch.ts';
import { newScores, setScore, type Threat } from '#proto/threats.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';
import { rowsOf, scan, windowsOf } from '#test/kit/traffic.ts';

const A = '192.0.2.1';
const B = '192.0.2.2';
const NONE = new Uint8Array(0);

/** The one window of a scanner over 10 s: the subject of these tests. */
const windowOf = (source: string, ports = 100): Uint8Array => {
  const all = windowsOf(scan(source, B, ports, 10));
  const row = rowsOf(all).findLast(
    (one) => one.address === source && one.of('spanMs') === 10_000,
  )!.row;
  return all.slice(row * WINDOW.size, (row + 1) * WINDOW.size);
};

type Host = {
  readonly state: State;
  /** Steps and returns the tells and timers. */
  step(message: Self): Recorded[];
  batch(seq: number, aggregates: Uint8Array, end?: boolean, epoch?: number): Recorded[];
  says(engine: Engine, seq: number, score: number, threat?: Threat, epoch?: number): Recorded[];
  abstains(engine: Engine, seq: number): Recorded[];
};

const host = (settings: object = {}): Host => {
  const core = ensembleCore(crypto);
  const state = core.init(config.parse(settings));
  const fx = recorder<Self>();
  core.start?.(state, fx, 0);
  fx.take();
  const step = (message: Self): Recorded[] => {
    core.step(state, message, fx, 0);
    return fx.take();
  };
  const verdict = (engine: Engine, seq: number, epoch: number) =>
    ({ kind: 'verdict', engine, epoch, seq }) as const;
  return {
    state,
    step,
    batch: (seq, aggregates, end = false, epoch = 1) =>
      step({
        kind: 'batch',
        epoch,
        seq,
        flows: 0,
        windows: aggregates.length / WINDOW.size,
        vectors: NONE,
        columns: NONE,
        aggregates,
        capture: 'pcap:x.pcap',
        end,
      }),
    says: (engine, seq, score, threat = 'port_scan', epoch = 1) => {
      const scores = newScores(1);
      const confidences = newScores(1);
      setScore(scores, 0, threat, score);
      setScore(confidences, 0, threat, 0.9);
      const reasons = [{ feature: 'x.y', value: 9, limit: 3 }];
      const finding = { subject: 0, threat, ruleSet: 'f'.repeat(64), severity: 4, reasons };
      return step({
        ...verdict(engine, seq, epoch),
        abstained: false,
        scores: bytesOf(scores),
        confidences: bytesOf(confidences),
        reasons: utf8(JSON.stringify([finding])),
      });
    },
    abstains: (engine, seq) =>
      step({
        ...verdict(engine, seq, 1),
        abstained: true,
        scores: NONE,
        confidences: NONE,
        reasons: utf8('[]'),
      }),
  };
};

const told = (effects: readonly Recorded[], to: string): Record<string, unknown>[] =>
  effects
    .filter((one) => one.effect === 'tell' && one.to === to)
    .map((one) => one.message as Record<string, unknown>);

const payloadOf = (detection: Record<string, unknown>) => {
  const parsed = parseAnomalyPayload(detection.payload as Uint8Array);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
};

/** A batch with a scan of `source` that the rules are sure of; returns what it led to. */
const alarm = (h: Host, seq: number, source = A): Recorded[] => {
  h.batch(seq, windowOf(source));
  h.abstains('math', seq);
  h.abstains('ml', seq);
  return h.says('rules', seq, 0.95);
};

const published = (seq: number, id: string): Self => ({
  kind: 'published',
  id,
  outcome: 'published',
  epoch: 1,
  seq,
});

test('at its start it asks telemetry to go back to the durable position, and watches', () => {
  const core = ensembleCore(crypto);
  const fx = recorder<Self>();
  core.start?.(core.init(config.parse({})), fx, 0);
  const effects = fx.take();
  expect(told(effects, 'telemetry')).toEqual([{ kind: 'resume' }]);
  const watched = effects.filter(({ effect }) => effect === 'watch').map(({ to }) => to);
  expect(watched).toEqual(['rules', 'math', 'ml', 'signer']);
});

test('a batch is decided when all three engines have answered, whatever their order', () => {
  const h = host();
  h.batch(1, windowOf(A));
  expect(told(h.says('rules', 1, 0.95), 'signer')).toEqual([]);
  expect(told(h.abstains('ml', 1), 'signer')).toEqual([]);
  const [detection] = told(h.abstains('math', 1), 'signer');
  expect(detection).toMatchObject({
    kind: 'detection',
    epoch: 1,
    seq: 1,
    entity: A,
    type: 'port_scan',
    severity: 4,
  });
  expect(payloadOf(detection!)).toMatchObject({
    src_ip: A,
    dst_ip: B,
    spoofable: true,
    previous: '',
    confidence: 0.95,
    capture: { source: 'pcap', path: 'x.pcap' },
  });
});

test('a verdict that overtakes its batch is not lost', () => {
  const h = host();
  h.says('rules', 1, 0.95);
  h.abstains('ml', 1);
  h.abstains('math', 1);
  expect(told(h.batch(1, windowOf(A)), 'signer')).toHaveLength(1);
});

test('a late engine abstains at the deadline, and its late word changes nothing', () => {
  const h = host();
  h.batch(1, windowOf(A));
  h.says('rules', 1, 0.95);
  h.abstains('math', 1);
  const detections = told(h.step({ kind: 'deadline', epoch: 1, seq: 1 }), 'signer');
  expect(detections).toHaveLength(1);
  expect(payloadOf(detections[0]!).engines.map(({ engine }) => engine)).toEqual(['rules']);
  expect(told(h.says('ml', 1, 0.1), 'signer')).toEqual([]);
});

test('batches are decided in their order', () => {
  const h = host();
  h.batch(1, windowOf(A));
  h.batch(2, windowOf('192.0.2.77'));
  for (const engine of ['ml', 'math'] as const) h.abstains(engine, 2);
  expect(told(h.says('rules', 2, 0.95), 'signer')).toEqual([]);
  for (const engine of ['ml', 'math'] as const) h.abstains(engine, 1);
  const detections = told(h.says('rules', 1, 0.95), 'signer');
  expect(detections.map(({ seq }) => seq)).toEqual([1, 2]);
});

test('telemetry goes on only when every detection of a batch has its fate', () => {
  const h = host();
  const effects = alarm(h, 1);
  expect(told(effects, 'telemetry')).toEqual([]);
  h.batch(2, NONE);
  for (const engine of ['rules', 'math', 'ml'] as const) {
    expect(told(h.abstains(engine, 2), 'telemetry')).toEqual([]);
  }
  const after = told(h.step(published(1, 'id-1')), 'telemetry');
  expect(after).toEqual([{ kind: 'processed', epoch: 1, seq: 2 }]);
});

test('a growing incident cites the id of its first telling, once that is known', () => {
  const h = host();
  alarm(h, 1);
  h.batch(2, windowOf(A, 1_000));
  h.abstains('math', 2);
  h.abstains('ml', 2);
  expect(told(h.says('rules', 2, 0.99), 'signer')).toEqual([]);
  const [second] = told(h.step(published(1, 'id-1')), 'signer');
  expect(second).toMatchObject({ seq: 2 });
  expect(payloadOf(second!)).toMatchObject({ previous: 'id-1' });
});

test('an answer that comes twice counts once', () => {
  const h = host();
  h.batch(1, new Uint8Array([...windowOf(A), ...windowOf('192.0.2.77')]));
  const scores = newScores(2);
  for (const row of [0, 1]) setScore(scores, row, 'port_scan', 0.95);
  const said = { scores: bytesOf(scores), confidences: bytesOf(scores), reasons: utf8('[]') };
  h.abstains('math', 1);
  h.abstains('ml', 1);
  const first = told(
    h.step({ kind: 'verdict', engine: 'rules', epoch: 1, seq: 1, abstained: false, ...said }),
    'signer',
  );
  expect(first).toHaveLength(1);
  expect(told(h.step(published(1, 'id-a')), 'signer')).toHaveLength(1);
  expect(h.step(published(1, 'id-a'))).toEqual([]);
  expect(told(h.step(published(1, 'id-b')), 'telemetry')).toEqual([
    { kind: 'processed', epoch: 1, seq: 1 },
  ]);
});

test('what a dead signer had not answered is told again, byte for byte', () => {
  const h = host();
  const [before] = told(alarm(h, 1), 'signer');
  const [again] = told(h.step({ kind: 'signerDown' }), 'signer');
  expect(again).toEqual(before);
});

test('an engine that dies abstains for the batch in its hands, and is watched again', () => {
  const h = host();
  h.batch(1, windowOf(A));
  h.batch(2, windowOf(A));
  for (const seq of [1, 2]) h.abstains('math', seq);
  for (const seq of [1, 2]) h.says('rules', seq, 0.95);
  const effects = h.step({ kind: 'engineDown', engine: 'ml' });
  expect(told(effects, 'signer')).toHaveLength(1);
  expect(h.state.pending).toHaveLength(1);
  expect(effects).toContainEqual(expect.objectContaining({ effect: 'after', key: 'watch-ml' }));
  const watch = h.step({ kind: 'watchAgain', who: 'ml' });
  expect(watch).toContainEqual(expect.objectContaining({ effect: 'watch', to: 'ml' }));
});

test('nobody waits for an engine that is gone, until it is heard again', () => {
  const h = host();
  for (let i = 0; i < 3; i += 1) h.step({ kind: 'engineDown', engine: 'ml' });
  h.batch(1, windowOf(A));
  h.abstains('math', 1);
  expect(told(h.says('rules', 1, 0.95), 'signer')).toHaveLength(1);
  h.abstains('ml', 1);
  h.batch(2, windowOf('192.0.2.77'));
  h.abstains('math', 2);
  expect(told(h.says('rules', 2, 0.95), 'signer')).toEqual([]);
});

test('a new epoch forgets the old one, whose messages are dropped', () => {
  const h = host();
  alarm(h, 1);
  h.batch(1, NONE, false, 2);
  expect(h.step(published(1, 'id-1'))).toEqual([]);
  expect(h.batch(9, windowOf(A), false, 1)).toEqual([]);
  expect(h.state.deciding.incidents.open.size).toBe(0);
});

test('the end reaches the signer after the last detection has its fate', () => {
  const h = host();
  alarm(h, 1);
  h.batch(2, NONE, true);
  for (const engine of ['rules', 'math', 'ml'] as const) h.abstains(engine, 2);
  expect(told(h.step(published(1, 'id-1')), 'signer')).toEqual([{ kind: 'ended', epoch: 1 }]);
  expect(told(h.step({ kind: 'signerDown' }), 'signer')).toEqual([{ kind: 'ended', epoch: 1 }]);
});

test('more batches than may wait hurry the oldest', () => {
  const h = host({ pendingMax: 2 });
  for (const seq of [1, 2]) h.batch(seq, NONE);
  h.batch(3, NONE);
  expect(h.state.pending.map(({ seq }) => seq)).toEqual([2, 3]);
});

test('a protected address is never named for a block, and the evidence says so', () => {
  const h = host({ protected: ['192.0.2.0/30'] });
  const [detection] = told(alarm(h, 1), 'signer');
  expect(payloadOf(detection!)).toMatchObject({ src_ip: '', dst_ip: '' });
  const evidence = JSON.parse(new TextDecoder().decode(detection!.evidence as Uint8Array));
  expect(evidence.withheld).toEqual([A, B]);
});

test('the evidence holds the window, the reasons, the settings and what judged, and is what the payload cites', () => {
  const [detection] = told(alarm(host(), 1), 'signer');
  const bytes = detection!.evidence as Uint8Array;
  expect(payloadOf(detection!).evidence_hash).toBe(hex(crypto.sha256(bytes)));
  expect(JSON.parse(new TextDecoder().decode(bytes))).toMatchObject({
    evidence_type: 'detection',
    refs: [],
    coc: [],
    models: { rules: 'f'.repeat(64) },
    engines: [{ engine: 'rules', score: 0.95, reasons: [{ feature: 'x.y', value: 9, limit: 3 }] }],
    settings: { weights: { ml: 0.5, rules: 0.3, math: 0.2 }, loneThreshold: 0.9 },
    subject: { kind: 'window', side: 'source', address: A, spanMs: 10_000 },
    capture: { source: 'pcap', path: 'x.pcap' },
  });
});

test('the same batches give the same bytes in another epoch', () => {
  const bytes = (epoch: number) => {
    const h = host();
    h.batch(1, windowOf(A), false, epoch);
    const said = ['rules', 'math', 'ml'].flatMap((engine) =>
      h.says(engine as Engine, 1, 0.93, 'port_scan', epoch),
    );
    return told(said, 'signer').map(({ payload, evidence }) => [payload, evidence]);
  };
  expect(bytes(1)).toHaveLength(1);
  expect(bytes(7)).toEqual(bytes(1));
});

test('an engine that calls a flood dos does not contradict one that calls it ddos', () => {
  const h = host();
  h.batch(1, windowOf(A));
  h.says('rules', 1, 0.85, 'dos');
  h.says('math', 1, 0.8, 'ddos');
  const [detection] = told(h.abstains('ml', 1), 'signer');
  expect(detection).toMatchObject({ type: 'dos' });
  expect(payloadOf(detection!).engines.map(({ engine }) => engine)).toEqual(['rules', 'math']);
});

test('a verdict of another shape is an abstention', () => {
  const h = host();
  h.batch(1, windowOf(A));
  h.abstains('math', 1);
  h.abstains('ml', 1);
  const scores = new Uint8Array(12);
  const verdict = { kind: 'verdict', engine: 'rules', epoch: 1, seq: 1, abstained: false } as const;
  const effects = h.step({ ...verdict, scores, confidences: scores, reasons: utf8('{') });
  expect(told(effects, 'signer')).toEqual([]);
  expect(told(effects, 'telemetry')).toHaveLength(1);
});
