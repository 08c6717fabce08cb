import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import type { MetricsSnapshot } from '#runtime/metrics/numbers.ts';
import {
  type Exporter,
  type OtlpSettings,
  openExporter,
  readHeaders,
} from '#runtime/otlp/exporter.ts';
import type { Span } from '#runtime/trace/sightings.ts';
import { type Collector, openCollector } from '#test/kit/collector.ts';
import { actor, testSystem, until } from '#test/kit/system.ts';
import { fixture, openDriver } from './driver.ts';

let collector: Collector;
let exporter: Exporter | undefined;
afterEach(async () => {
  await exporter?.close();
  exporter = undefined;
  await collector.close();
});

const span = (n: number): Span => ({
  trace: n.toString(16).padStart(32, '0'),
  span: n.toString(16).padStart(16, '0'),
  parent: '',
  actor: 'echo',
  from: '',
  kind: 'note',
  cause: 'io',
  startMs: 1000,
  handledMs: 1,
});
const NOTHING: MetricsSnapshot = {
  actors: [],
  threads: [],
  deadLetters: { total: 0, byReason: {}, newest: [] },
  sparesReady: 0,
  slabsFree: 0,
  runtime: [],
};

const open = async (spans: Span[], given: Partial<OtlpSettings> = {}) => {
  collector = await openCollector();
  const said: string[] = [];
  exporter = openExporter(
    { url: collector.url, intervalMs: 20, ...given },
    {
      resource: { service: 'cybermesh', node: 'n', version: '1', pid: 2 },
      startMs: 0,
      now: () => 5000,
      spans: () => ({ spans: spans.splice(0), lost: 0 }),
      metrics: () => NOTHING,
      log: (level, text) => said.push(`${level} ${text}`),
    },
  );
  return { exporter, said };
};
/** A span on the wire. */
type Sent = { readonly name: string; readonly traceId: string; readonly spanId: string };
const sent = (): Sent[] =>
  collector.received
    .filter((one) => one.path === '/v1/traces')
    .flatMap(({ body }) => body.resourceSpans[0].scopeSpans[0].spans);

test('a node tells its recorded steps and all its numbers as OTLP, under its name', async () => {
  collector = await openCollector();
  const driver = openDriver();
  const system = await testSystem([actor('echo', fixture('echo')), driver.spec], {
    trace: { carried: true, ratio: 1 },
    otlp: { url: `${collector.url}/`, intervalMs: 100 },
  });
  await driver.heard('up');
  driver.run({ do: 'ask', to: '', message: { kind: 'say', text: 'x' }, tag: 'said' });
  await driver.heard('said');
  const spans = await until(() => sent().length >= 3 && sent(), 20_000);
  const say = spans.find((one) => one.name === 'echo say');
  const asked = spans.find((one) => one.name === 'driver orders')!;
  expect(say).toMatchObject({
    traceId: asked.traceId,
    parentSpanId: asked.spanId,
    kind: 5,
    startTimeUnixNano: expect.stringMatching(/^\d{19}$/),
    endTimeUnixNano: expect.stringMatching(/^\d{19}$/),
  });
  const metrics = await until(
    () =>
      collector.received.findLast(
        (one) =>
          one.path === '/v1/metrics' && JSON.stringify(one.body).includes('handling_seconds'),
      ),
    20_000,
  );
  const { resource, scopeMetrics } = metrics.body.resourceMetrics[0];
  expect(resource.attributes).toContainEqual({
    key: 'service.name',
    value: { stringValue: 'cybermesh' },
  });
  expect(resource.attributes).toContainEqual({
    key: 'service.instance.id',
    value: { stringValue: 'test' },
  });
  const named = new Map(
    scopeMetrics[0].metrics.map((one: { name: string }) => [one.name, one] as const),
  ) as Map<string, Record<string, { dataPoints: Record<string, unknown>[] }>>;
  expect(named.get('cybermesh.actor.messages')).toMatchObject({
    sum: { isMonotonic: true, aggregationTemporality: 2 },
  });
  const [point] = named.get('cybermesh.actor.handling_seconds')!.histogram!.dataPoints;
  expect((point!.bucketCounts as string[]).length).toBe(
    (point!.explicitBounds as number[]).length + 1,
  );
  const total = (point!.bucketCounts as string[]).reduce((sum, n) => sum + Number(n), 0);
  expect(String(total)).toBe(point!.count);
  await system.until(() => /cybermesh_otlp_spans_exported_total [1-9]/.test(system.metricsText()));
  driver.close();
  await system.end();
});

test('what the collector cannot take now is sent again until it is taken, and said once', async () => {
  const spans = [span(1)];
  const { said } = await open(spans);
  collector.answer(503);
  await until(() => collector.received.filter(({ path: p }) => p === '/v1/traces').length >= 3);
  spans.push(span(2));
  const before = collector.received.length;
  collector.answer(200);
  await until(() => exporter!.counts().exported === 2);
  const after = collector.received.slice(before).filter(({ path: p }) => p === '/v1/traces');
  const ids = after.flatMap(
    ({ body }) => body.resourceSpans[0].scopeSpans[0].spans as { spanId: string }[],
  );
  expect(new Set(ids.map(({ spanId }) => Number(spanId)))).toEqual(new Set([1, 2]));
  expect(exporter!.counts()).toMatchObject({ exported: 2, dropped: 0 });
  await until(() => said.length > 1);
  expect(said).toEqual([
    expect.stringMatching(/^warn no telemetry to the collector .*: it answered 503$/),
    expect.stringMatching(/^info the collector .* takes telemetry again$/),
  ]);
});

test('what it refuses is dropped and counted', async () => {
  const spans = Array.from({ length: 600 }, (_, k) => span(k + 1));
  await open(spans);
  collector.answer(400);
  await until(() => exporter!.counts().dropped === 600);
  expect(exporter!.counts().exported).toBe(0);
});

test('what it takes only in part is counted by what it says it rejected', async () => {
  const spans = [span(1), span(2), span(3)];
  const { said } = await open(spans);
  const part = '{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}';
  collector.answer(200, part, '/v1/traces');
  await until(() => exporter!.counts().dropped === 2);
  expect(exporter!.counts().exported).toBe(1);
  spans.push(span(4), span(5), span(6));
  await until(() => exporter!.counts().dropped === 4);
  // Once, though the numbers in between were taken.
  expect(said).toEqual([
    expect.stringMatching(/^warn no telemetry .*\/v1\/traces: it rejected 2 spans: too old$/),
  ]);
});

test('an answer that is no answer of this protocol, or without end, is success by its status', async () => {
  const spans = [span(1)];
  await open(spans);
  collector.answer(200, 'x'.repeat(1_000_000));
  await until(() => exporter!.counts().exported === 1);
  spans.push(span(2));
  collector.answer(200, 'null');
  await until(() => exporter!.counts().exported === 2);
  expect(exporter!.counts()).toMatchObject({ dropped: 0 });
});

test('while no collector is there the queue keeps the newest 8,192 spans, and the end comes in time', async () => {
  const spans = Array.from({ length: 10_000 }, (_, k) => span(k + 1));
  const { said } = await open(spans, { url: 'http://127.0.0.1:9', intervalMs: 20 });
  await until(() => exporter!.counts().failures > 1);
  expect(exporter!.counts()).toMatchObject({ dropped: 10_000 - 8192, exported: 0 });
  expect(said).toHaveLength(1);
  const beganMs = performance.now();
  await exporter!.close();
  expect(performance.now() - beganMs).toBeLessThan(20_000);
});

test('what is left is sent at the end', async () => {
  const spans = [span(1)];
  await open(spans, { intervalMs: 3_600_000 });
  await exporter!.close();
  expect(sent()).toHaveLength(1);
  exporter = undefined;
});

test('headers come from a file, and a line that is none is named', async () => {
  collector = await openCollector();
  const folder = mkdtempSync(path.join(tmpdir(), 'cybermesh-otlp-'));
  const file = path.join(folder, 'headers');
  writeFileSync(file, 'authorization: Bearer abc\n\nx-scope: mesh\n');
  expect(readHeaders(file)).toEqual({ authorization: 'Bearer abc', 'x-scope': 'mesh' });
  await collector.close();
  const spans = [span(1)];
  await open(spans, { headersFile: file });
  await until(() => collector.received.length > 0);
  expect(collector.received[0]!.headers.authorization).toBe('Bearer abc');
  writeFileSync(file, 'no header\n');
  expect(() => readHeaders(file)).toThrow(`${file}:1: expected name: value`);
  expect(() => readHeaders(`${file}.none`)).toThrow(`node.otlp.headersFile ${file}.none: ENOENT`);
  rmSync(folder, { recursive: true });
});
