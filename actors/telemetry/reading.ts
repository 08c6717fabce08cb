/**
 * One reading of one source: batches for as long as there are any. Everything here touches the
 * world.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesOf } from '#proto/flow-batch.ts';
import type { LogFields, LogLevel } from '#runtime/actor.ts';
import { captureReader } from './capture/reader.ts';
import type { SyntheticConfig, TelemetryConfig } from './config.ts';
import type { SourceBatch } from './core.ts';
import { type OpenFile, openBytes, type SourceFile } from './files.ts';
import { flowReader, type LabelTable, type RowBatch } from './flows/reader.ts';
import type { TableMark } from './position.ts';
import { generator } from './synthetic/generator.ts';

/** What a reading says on its way: counters and lines of the log. */
export type Reporter = {
  emit(name: string, value: number): void;
  log(level: LogLevel, text: string, fields?: LogFields): void;
};

export type Step = {
  readonly batch: SourceBatch;
  readonly fileEnd: boolean;
  /** Of a table: the last of all, and how far it has been read. */
  readonly end?: boolean;
  readonly mark?: TableMark;
};

export type Reading = {
  next(): Promise<Step>;
  close(): void;
};

const EMPTY: SourceBatch = { shape: 'packets', count: 0, packets: new Uint8Array(0) };
const SAMPLED_FIRST = 3;
const SAMPLED_EVERY = 1_000;

/** The first malformed ones of a file are in the log, and then every thousandth. */
export const isSampled = (count: number): boolean =>
  count <= SAMPLED_FIRST || count % SAMPLED_EVERY === 0;

const rowsBatch = (rows: RowBatch): SourceBatch => ({
  shape: 'rows',
  count: rows.count,
  vectors: bytesOf(rows.vectors),
  columns: rows.columns,
});

async function* capture(
  file: SourceFile,
  opened: OpenFile,
  fileIndex: number,
  batchMax: number,
  report: Reporter,
): AsyncGenerator<Step, void, void> {
  let malformed = 0;
  const reader = captureReader(fileIndex, batchMax, ({ number }) => {
    malformed += 1;
    report.emit('packets_malformed', 1);
    if (isSampled(malformed)) {
      report.log('warn', 'malformed packet skipped', {
        file: file.name,
        packet: number,
        malformed,
      });
    }
  });
  for await (const chunk of opened.chunks()) {
    for (const { count, bytes } of reader.push(chunk)) {
      yield { batch: { shape: 'packets', count, packets: bytes }, fileEnd: false };
    }
    if (reader.state() !== 'reading') break;
  }
  const { batch, truncated } = reader.end();
  const { packets, notIp, unknownLink } = reader.counts;
  report.emit('packets_read', packets);
  report.emit('packets_not_ip', notIp);
  const cause = opened.fault() ?? (truncated ? 'the last record is cut off' : undefined);
  if (reader.state() !== 'reading') {
    report.emit('files_truncated', 1);
    report.log('warn', `${file.path}: what follows packet ${packets} is no record; it is left out`);
  } else if (cause !== undefined) {
    report.emit('files_truncated', 1);
    report.log(
      'warn',
      `${file.path} is truncated after packet ${packets}: ${cause}; what came before is kept`,
    );
  }
  if (unknownLink !== -1) {
    report.log(
      'warn',
      `${file.path}: packets of link type ${unknownLink} cannot be read and are left out`,
    );
  }
  report.log('info', 'capture read', { file: file.name, packets, notIp, malformed });
  const last: SourceBatch =
    batch === undefined ? EMPTY : { shape: 'packets', count: batch.count, packets: batch.bytes };
  yield { batch: last, fileEnd: true };
}

async function* table(
  file: SourceFile,
  opened: OpenFile,
  fileIndex: number,
  batchMax: number,
  labels: LabelTable,
  report: Reporter,
): AsyncGenerator<Step, void, void> {
  let malformed = 0;
  const reader = flowReader(fileIndex, batchMax, labels, (row) => {
    malformed += 1;
    report.emit('rows_malformed', 1);
    if (isSampled(malformed)) {
      report.log('warn', 'malformed row skipped', { file: file.name, row, malformed });
    }
  });
  for await (const chunk of opened.chunks()) {
    for (const rows of reader.push(chunk)) yield { batch: rowsBatch(rows), fileEnd: false };
    if (reader.fault() !== undefined) break;
  }
  const last = reader.end();
  const { rows } = reader.counts;
  report.emit('rows_read', rows);
  const fault = reader.fault() ?? opened.fault();
  if (fault !== undefined) {
    report.emit('files_truncated', 1);
    report.log('warn', `${file.path} ends after row ${rows}: ${fault}; what came before is kept`);
  }
  report.log('info', 'table of flows read', { file: file.name, rows, malformed });
  yield { batch: last === undefined ? EMPTY : rowsBatch(last), fileEnd: true };
}

/** Reads one file from its start. `labels` grows with the labels of its rows. */
export const fileReading = (
  kind: 'pcap' | 'flows',
  file: SourceFile,
  packed: boolean,
  fileIndex: number,
  batchMax: number,
  labels: LabelTable,
  report: Reporter,
): Reading => {
  const opened = openBytes(file, packed);
  const steps =
    kind === 'pcap'
      ? capture(file, opened, fileIndex, batchMax, report)
      : table(file, opened, fileIndex, batchMax, labels, report);
  return {
    next: async () => {
      const { done, value } = await steps.next();
      return done === true ? { batch: EMPTY, fileEnd: true } : value;
    },
    close: opened.close,
  };
};

/** Traffic that was not generated in time (a suspended machine) is left out beyond this. */
const BEHIND_MAX_MS = 2_000;

/** Never ends; its packets bear the time at which they are handed out. */
export const syntheticReading = (
  source: SyntheticConfig,
  config: TelemetryConfig,
  now: () => number,
): Reading => {
  let beganMs = now();
  let traffic = generator(source, beganMs * 1000);
  let givenMs = beganMs;
  let isFull = false;
  const aborted = new AbortController();
  return {
    next: async () => {
      if (!isFull) {
        const waitMs = givenMs + config.batchDelayMs - now();
        if (waitMs > 0) {
          await sleep(waitMs, undefined, { signal: aborted.signal }).catch(() => undefined);
        }
      }
      const atMs = now();
      if (atMs - givenMs > BEHIND_MAX_MS + config.batchDelayMs) {
        beganMs = atMs;
        traffic = generator(source, beganMs * 1000);
      }
      givenMs = atMs;
      const { count, bytes } = traffic.take(atMs * 1000, config.batchMax);
      isFull = count === config.batchMax;
      return { batch: { shape: 'packets', count, packets: bytes }, fileEnd: false };
    },
    close: () => aborted.abort(),
  };
};

/** A source without traffic: never anything. */
export const noReading = (): Reading => ({
  next: () => new Promise(() => undefined),
  close: () => undefined,
});
