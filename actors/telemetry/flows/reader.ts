/**
 * Chunks of one flow file in, batches of vectors and FLOW records out. Labels go aside, never into
 * a vector.
 */
import { ok, type Result } from '#proto/result.ts';
import { cellsOf, LINE_BYTES_MAX } from './cells.ts';
import { type Columns, columnsOf } from './columns.ts';
import { type LabelTable, type RowBatch, rowWriter } from './rows.ts';

export type { LabelTable, RowBatch } from './rows.ts';

export type RowCounts = { rows: number; malformed: number };
export type FlowReader = {
  readonly counts: RowCounts;
  push(chunk: Uint8Array): RowBatch[];
  end(): RowBatch | undefined;
  /** Why the file cannot be read, once its header is known to be wrong. */
  fault(): string | undefined;
};

/** JSON lines: the first object's keys are the header of all. */
const objectOf = (line: string): { readonly [key: string]: unknown } | undefined => {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
};

type Header = { readonly columns: Columns; readonly keys: readonly string[] | undefined };

const headerOf = (line: string): Result<Header, string> => {
  const object = line.startsWith('{') ? objectOf(line) : undefined;
  const keys = object === undefined ? undefined : Object.keys(object);
  const columns = columnsOf(keys ?? cellsOf(line));
  return columns.ok ? ok({ columns: columns.value, keys }) : columns;
};

/** The cells of a line in the order of the header; none where it is no row. */
const cellsIn = (line: string, keys: readonly string[] | undefined): string[] => {
  if (line.length > LINE_BYTES_MAX) return [];
  if (keys === undefined) return cellsOf(line);
  const object = objectOf(line);
  return object === undefined ? [] : keys.map((key) => String(object[key] ?? ''));
};

export const flowReader = (
  fileIndex: number,
  batchMax: number,
  labels: LabelTable,
  onMalformed: (row: number) => void = () => undefined,
): FlowReader => {
  const counts: RowCounts = { rows: 0, malformed: 0 };
  const decoder = new TextDecoder();
  let rest = '';
  let header: Header | undefined;
  let fault: string | undefined;
  const writer = rowWriter(fileIndex, batchMax, labels);

  /** False where the line was the CSV header, or there can be no rows. */
  const isRow = (line: string): boolean => {
    if (header !== undefined) return true;
    const read = headerOf(line.replace(/^\uFEFF/, ''));
    if (read.ok) header = read.value;
    else fault = read.error;
    return header?.keys !== undefined;
  };
  const takeLine = (raw: string, batches: RowBatch[]): void => {
    const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
    if (line === '' || fault !== undefined || !isRow(line) || header === undefined) return;
    counts.rows += 1;
    if (!writer.put(cellsIn(line, header.keys), header.columns, counts.rows)) {
      counts.malformed += 1;
      onMalformed(counts.rows);
    }
    if (writer.isFull()) batches.push(writer.take());
  };
  const push = (chunk: Uint8Array): RowBatch[] => {
    const batches: RowBatch[] = [];
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) takeLine(line, batches);
    // A "line" without end is no text: it must not grow without bound.
    if (rest.length > LINE_BYTES_MAX * 16)
      fault ??= 'a line is longer than 1 MiB: this is no table';
    return batches;
  };
  const end = (): RowBatch | undefined => {
    const last: RowBatch[] = [];
    if (rest !== '') takeLine(rest, last);
    if (header === undefined) fault ??= 'the file is empty: it has no header';
    if (last[0] !== undefined) return last[0];
    return writer.isEmpty() ? undefined : writer.take();
  };
  return { counts, push, end, fault: () => fault };
};
