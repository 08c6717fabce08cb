import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { config } from '#actors/telemetry/config.ts';
import type { Commands, Self } from '#actors/telemetry/core.ts';
import { usableFiles } from '#actors/telemetry/inspect.ts';
import { io } from '#actors/telemetry/io.ts';
import type { IoAdapter, IoPort } from '#runtime/actor.ts';
import { ethernet, ip4, pcap, tcp } from '#test/kit/packets.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'telemetry-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const capture = (packets: number): Uint8Array =>
  pcap(
    Array.from({ length: packets }, (_, i) => ({
      timeUs: 1_700_000_000_000_000 + i,
      frame: ethernet(ip4('10.0.0.1', '10.0.0.2', 6, tcp({ from: 1_000 + i, to: 80, flags: 'S' }))),
    })),
  );

const put = (name: string, bytes: Uint8Array | string): string => {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  return file;
};

type Opened = {
  readonly adapter: IoAdapter<Commands>;
  readonly messages: Self[];
  readonly log: string[];
  readonly counters: Record<string, number>;
};

const open = async (source: object, settings: object = {}): Promise<Opened> => {
  const messages: Self[] = [];
  const log: string[] = [];
  const counters: Record<string, number> = {};
  const dataDir = path.join(folder, 'state');
  const port = {
    deliver: (message: Self) => messages.push(message) > 0,
    path: 'detection.telemetry',
    dataDir,
    now: Date.now,
    log: (level: string, text: string) => log.push(`${level} ${text}`),
    emit: (name: string, value: number) => {
      counters[name] = (counters[name] ?? 0) + value;
    },
    gauge: () => undefined,
  } as Partial<IoPort<Self>> as IoPort<Self>;
  const adapter = await io(config.parse({ source, ...settings }), port);
  return { adapter, messages, log, counters };
};

/** Reads a source to its end, file after file, as the core would. */
const readAll = async ({ adapter, messages }: Opened): Promise<Self[]> => {
  const seen: Self[] = [];
  for (;;) {
    await adapter.commands.begin({});
    for (;;) {
      const message = messages.shift();
      if (message === undefined) throw new Error('no message');
      seen.push(message);
      if (message.kind === 'began' && message.complete) return seen;
      if (message.kind === 'settled' && message.more) break;
      if (message.kind === 'settled') return seen;
      const epoch = 'epoch' in message ? message.epoch : 0;
      if (message.kind === 'read' && message.fileEnd) await adapter.commands.settle({ epoch });
      else await adapter.commands.next({ epoch });
    }
  }
};

const counts = (messages: readonly Self[]): number[] =>
  messages.flatMap((message) => (message.kind === 'read' ? [message.batch.count] : []));

test('a folder is read in the order of its names, plain and packed, an epoch a file', async () => {
  put('in/b.pcap.gz', gzipSync(capture(3)));
  put('in/a.pcap', capture(2_100));
  put('in/.hidden', 'no');
  put('in/README.txt', 'what is here');
  const opened = await open({ kind: 'pcap', path: path.join(folder, 'in') });
  const messages = await readAll(opened);
  const kinds = messages.map((message) =>
    message.kind === 'began' ? `${message.epoch} ${message.capture}` : message.kind,
  );
  expect(kinds).toEqual([
    '1 pcap:a.pcap',
    'read',
    'read',
    'read',
    'settled',
    '2 pcap:b.pcap.gz',
    'read',
    'settled',
  ]);
  expect(counts(messages)).toEqual([1_000, 1_000, 100, 3]);
  const ends = messages.flatMap((message) => (message.kind === 'read' ? [message.end] : []));
  expect(ends).toEqual([false, false, false, true]);
  expect(opened.counters.packets_read).toBe(2_103);
  expect(opened.log.filter((line) => line.startsWith('warn'))).toEqual([
    expect.stringMatching(/README.txt is not a capture/),
  ]);
  await opened.adapter.close?.();
});

test('after a crash the file that was not finished is read again from its start', async () => {
  put('in/a.pcap', capture(2));
  put('in/b.pcap', capture(5));
  const source = { kind: 'pcap', path: path.join(folder, 'in') };
  const crashed = await open(source);
  await crashed.adapter.commands.begin({});
  await crashed.adapter.commands.next({ epoch: 1 });
  await crashed.adapter.commands.settle({ epoch: 1 });
  await crashed.adapter.commands.begin({});
  await crashed.adapter.commands.next({ epoch: 2 });
  await crashed.adapter.close?.();
  const again = await open(source);
  expect(counts(await readAll(again))).toEqual([5]);
  await again.adapter.close?.();
});

test('a packed capture that ends early keeps what came before, with a warning', async () => {
  const packed = gzipSync(capture(4_000));
  const file = put('cut.pcap.gz', packed.subarray(0, packed.length >> 1));
  const opened = await open({ kind: 'pcap', path: file });
  const total = counts(await readAll(opened)).reduce((sum, count) => sum + count, 0);
  expect(total).toBeGreaterThan(1_000);
  expect(opened.counters.packets_read).toBe(total);
  expect(opened.log.join('\n')).toContain(`${file} is truncated after packet ${total}`);
  await opened.adapter.close?.();
});

test('a plain capture cut within a record keeps what came before, with a warning', async () => {
  const whole = capture(3);
  const file = put('cut.pcap', whole.subarray(0, whole.length - 5));
  const opened = await open({ kind: 'pcap', path: file });
  expect(counts(await readAll(opened))).toEqual([2]);
  expect(opened.log.join('\n')).toContain('truncated after packet 2: the last record is cut off');
  await opened.adapter.close?.();
});

test.each([
  ['a missing file', 'nowhere.pcap', undefined, /nowhere\.pcap does not exist: give the path/],
  ['no capture', 'table.csv', 'a,b\n', /table\.csv is not a capture .*: give a pcap or pcapng/],
  ['an empty file', 'empty.pcap', '', /empty\.pcap is empty/],
])('%s is refused with its path and a remedy', async (_, name, content, message) => {
  const file = content === undefined ? path.join(folder, name) : put(name, content);
  const found = usableFiles({ kind: 'pcap', path: file });
  expect(found.ok ? '' : found.error).toMatch(message);
  await expect(open({ kind: 'pcap', path: file })).rejects.toThrow(message);
});

test('an empty folder is refused', () => {
  mkdirSync(path.join(folder, 'none'));
  const found = usableFiles({ kind: 'flows', path: path.join(folder, 'none') });
  expect(found.ok ? '' : found.error).toMatch(/holds no file/);
});

test('a table with wrong columns is refused by the names of those that are missing', () => {
  const file = put('wrong.csv', 'src_ip,dst_ip,bytes\n1,2,3\n');
  const found = usableFiles({ kind: 'flows', path: file });
  expect(found.ok ? '' : found.error).toMatch(
    /is not a table of flows: 79 of 79 columns are missing/,
  );
});

test('generated packets bear the time at which they are handed out', async () => {
  const opened = await open({ kind: 'synthetic', ratePps: 2_000 }, { batchDelayMs: 20 });
  await opened.adapter.commands.begin({});
  const beganMs = Date.now();
  let total = 0;
  while (Date.now() - beganMs < 300) {
    await opened.adapter.commands.next({ epoch: 1 });
    total += counts(opened.messages.splice(0)).reduce((sum, count) => sum + count, 0);
  }
  expect(total).toBeGreaterThan(20);
  await opened.adapter.close?.();
});
