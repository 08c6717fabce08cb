/**
 * How far a source of files has been read and everything that came of it is durable: whole files,
 * no less, because what the meter holds in the middle of a file is not on any disk; of a table, whole
 * segments. Pure; io.ts keeps it.
 *
 * A file that was begun and not finished is read again from its start, under a new epoch. A source
 * that was read to its end begins anew with the next run of the process, and stays ended within the
 * same one.
 */
import { z } from 'zod';
import type { SourceFile } from './files.ts';

const file = z.strictObject({ name: z.string(), bytes: z.number(), modifiedMs: z.number() });

/** Of a table: the key of the last row that is behind us, as text, and how many rows that makes. */
const mark = z.strictObject({ after: z.string().optional(), rows: z.int().min(0) });
export type TableMark = { readonly after?: string | undefined; readonly rows: number };

const schema = z.strictObject({
  /** Kind and absolute path. */
  source: z.string(),
  epoch: z.int().min(0),
  done: z.array(file),
  complete: z.boolean(),
  table: mark.optional(),
  /** Which run of the process wrote this, see `isSameRun`. */
  run: z.strictObject({ pid: z.number(), startMs: z.number() }),
});

export type Position = z.output<typeof schema>;
export type Run = Position['run'];

export const parsePosition = (text: string | undefined): Position | undefined => {
  if (text === undefined) return undefined;
  const parsed = schema.safeParse(JSON.parse(text));
  return parsed.success ? parsed.data : undefined;
};

/**
 * Starts of one process, as two readings of the clock give them, lie within this (clocks are
 * adjusted).
 */
const RUN_TOLERANCE_MS = 1_000;

/** In a container every run may have the same process id, so the time of the start counts, too. */
const isSameRun = (a: Run, b: Run): boolean =>
  a.pid === b.pid && Math.abs(a.startMs - b.startMs) <= RUN_TOLERANCE_MS;

const isSameFile = (a: Position['done'][number], b: SourceFile | undefined): boolean =>
  b !== undefined && a.name === b.name && a.bytes === b.bytes && a.modifiedMs === b.modifiedMs;

/** Where to go on, with an epoch that was never used before. */
export const nextPosition = (
  last: Position | undefined,
  source: string,
  files: readonly SourceFile[],
  run: Run,
): Position => {
  const epoch = (last?.epoch ?? 0) + 1;
  const fresh: Position = { source, epoch, done: [], complete: false, run };
  if (last === undefined || last.source !== source) return fresh;
  const isNewRun = !isSameRun(last.run, run);
  // A table grows: the next run goes on behind its last row.
  if (last.table !== undefined) {
    return { ...fresh, table: last.table, complete: last.complete && !isNewRun };
  }
  const unchanged = last.done.every((done, index) => isSameFile(done, files[index]));
  if (!unchanged) return fresh;
  if (last.complete && isNewRun) return fresh;
  const complete = last.complete && last.done.length === files.length;
  return { ...fresh, done: last.done, complete };
};

/** The position after the file that `position` stood at. */
export const afterFile = (position: Position, files: readonly SourceFile[]): Position => {
  const read = files[position.done.length];
  if (read === undefined) return { ...position, complete: true };
  const { name, bytes, modifiedMs } = read;
  const done = [...position.done, { name, bytes, modifiedMs }];
  return { ...position, done, complete: done.length === files.length };
};

/** The position behind a segment of a table; `end`: the table has no more. */
export const afterSegment = (position: Position, table: TableMark, end: boolean): Position => ({
  ...position,
  table,
  complete: end,
});
