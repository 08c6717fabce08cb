import { Worker } from 'node:worker_threads';
import { expect, test } from 'vitest';
import {
  type RawSpan,
  readSpans,
  ringBytes,
  SPANS_MAX,
  SpanWriter,
  unshownIn,
  writtenIn,
} from '#runtime/trace/ring.ts';

const memory = (): SharedArrayBuffer => new SharedArrayBuffer(ringBytes());

/** A span all of whose words say `n`. */
const write = (writer: SpanWriter, n: number, kind = `kind${n % 7}`): void =>
  writer.write(
    { trace0: n, trace1: n, trace2: n, trace3: n, span0: n, span1: n, parent0: n, parent1: n },
    n & 0xff,
    -1,
    kind,
    1,
    n,
    n + 1,
  );

test('what is written is read, names and causes included, by a later writer continued', () => {
  const ring = memory();
  write(new SpanWriter(ring), 1, 'first');
  write(new SpanWriter(ring), 2, 'second');
  expect(readSpans(ring).spans).toEqual([
    {
      trace: [1, 1, 1, 1],
      span: [1, 1],
      parent: [1, 1],
      actor: 1,
      from: -1,
      kind: 'first',
      cause: 'answer',
      startMs: 1,
      endMs: 2,
    },
    expect.objectContaining({ kind: 'second', startMs: 2 }),
  ]);
});

test('the newest spans are kept; whoever reads on is told how many were lost', () => {
  const ring = memory();
  const writer = new SpanWriter(ring);
  for (let n = 1; n <= 10; n++) write(writer, n);
  const first = readSpans(ring, 0);
  expect(first).toMatchObject({ written: 10, lost: 0 });
  for (let n = 11; n <= 10 + SPANS_MAX + 50; n++) write(writer, n);
  const second = readSpans(ring, first.written);
  // The slot that might be written just now is not trusted.
  expect(second.lost).toBe(51);
  expect(second.spans.map((span) => span.startMs)).toEqual(
    Array.from({ length: SPANS_MAX - 1 }, (_, k) => 62 + k),
  );
  expect(readSpans(ring, second.written)).toMatchObject({ spans: [], lost: 0 });
  expect(writtenIn(ring)).toBe(10 + SPANS_MAX + 50);
});

test('only traces of a range are read where one is given', () => {
  const ring = memory();
  const writer = new SpanWriter(ring);
  for (const n of [5, -1, 0x70000000]) write(writer, n);
  const first = (spans: readonly RawSpan[]) => spans.map((span) => span.trace[0]);
  expect(first(readSpans(ring, 0, { least: 5, most: 5 }).spans)).toEqual([5]);
  expect(first(readSpans(ring, 0, { least: 0x80000000, most: 0xffffffff }).spans)).toEqual([-1]);
});

test('more kinds than names have room are shown as ?, long ones cut', () => {
  const ring = memory();
  const writer = new SpanWriter(ring);
  for (let n = 0; n < 520; n++) write(writer, n + 1, `kind number ${n}`);
  write(writer, 1000, 'x'.repeat(60));
  const kinds = readSpans(ring).spans.map((span) => span.kind);
  expect(kinds.slice(510, 514)).toEqual(['kind number 510', 'kind number 511', '?', '?']);
  expect(kinds.at(-1)).toBe('?');
  const other = memory();
  write(new SpanWriter(other), 1, 'x'.repeat(60));
  expect(readSpans(other).spans[0]!.kind).toBe('x'.repeat(40));
  writer.unshown();
  expect(unshownIn(ring)).toBe(1);
});

test('no span is torn while another thread writes as fast as it can', async () => {
  const ring = memory();
  const worker = new Worker(new URL('./fixtures/writing.ts', import.meta.url), {
    workerData: { ring },
  });
  await new Promise((started) => worker.once('message', started));
  let after = writtenIn(ring);
  let seen = 0;
  let overtaken = 0;
  while (seen < 200_000) {
    const { spans, written, lost } = readSpans(ring, after);
    after = written;
    overtaken += lost;
    seen += spans.length;
    for (const { trace, span, parent, startMs, endMs } of spans) {
      const [n] = trace;
      expect([...trace, ...span, ...parent, startMs, endMs - 1].every((one) => one === n)).toBe(
        true,
      );
    }
  }
  await worker.terminate();
  expect(overtaken).toBeGreaterThan(0);
}, 60_000);
