/**
 * A table of flows as segments of so many rows: each is what a file is for other sources, an epoch of its own
 * behind which the position is durable. Segments begin and end at the same keys whoever reads them, so one that a
 * crash has cut off comes again byte for byte.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { bytesOf } from '#proto/flow-batch.ts';
import type { PostgresConfig } from '../config.ts';
import { type LabelTable, type RowWriter, rowWriter } from '../flows/rows.ts';
import type { TableMark } from '../position.ts';
import { isSampled, type Reading, type Reporter, type Step } from '../reading.ts';
import { openPages, type Page, type Pages } from './pages.ts';

type Segment = {
  readonly source: PostgresConfig;
  readonly pages: Pages;
  readonly writer: RowWriter;
  readonly report: Reporter;
  readonly closed: AbortController;
  mark: TableMark;
  /** Rows of this segment so far. */
  taken: number;
  malformed: number;
};

const EMPTY: readonly (string | null)[] = [];

/** Rows that no vector can be made of are counted and skipped; the key goes on over them. */
const putRow = (segment: Segment, page: Page, row: number): void => {
  const { source, writer, report } = segment;
  const cells = page.rows[row] ?? EMPTY;
  const after = cells[page.keyAt] ?? '';
  segment.mark = { after, rows: segment.mark.rows + 1 };
  segment.taken += 1;
  const texts = cells.map((cell) => cell ?? '');
  if (writer.put(texts, page.columns, segment.mark.rows)) return;
  segment.malformed += 1;
  report.emit('rows_malformed', 1);
  if (!isSampled(segment.malformed)) return;
  const { table, key } = source;
  report.log('warn', 'malformed row skipped', { table, key, after, malformed: segment.malformed });
};

const stepOf = ({ writer, mark }: Segment, fileEnd: boolean, end: boolean): Step => {
  const { count, vectors, columns } = writer.take();
  const batch = { shape: 'rows', count, vectors: bytesOf(vectors), columns } as const;
  return { batch, fileEnd, end, mark };
};

const waitForMore = async ({ source, closed }: Segment): Promise<void> => {
  const { signal } = closed;
  await sleep(source.pollMs, undefined, { signal }).catch(() => undefined); // closed
};

type Asked = { readonly rows: number; readonly page: Promise<Page | undefined> };

async function* steps(segment: Segment): AsyncGenerator<Step, void, void> {
  const { source, pages, report } = segment;
  const ask = (after: string | undefined, left: number): Asked => {
    const rows = Math.min(source.batch, left);
    return { rows, page: pages.fetch(after, rows) };
  };
  let asked = ask(segment.mark.after, source.segmentRows);
  for (;;) {
    const page = await asked.page;
    if (page === undefined) return;
    report.emit('rows_read', page.rows.length);
    const isFull = page.rows.length === asked.rows;
    const left = source.segmentRows - segment.taken - page.rows.length;
    const last = page.rows.at(-1)?.[page.keyAt] ?? undefined;
    // The next page is on its way while this one is worked on.
    const ahead = isFull && left > 0 ? ask(last, left) : undefined;
    for (let row = 0; row < page.rows.length; row++) {
      putRow(segment, page, row);
      if (segment.writer.isFull()) yield stepOf(segment, false, false);
    }
    if (left === 0 || (!isFull && source.pollMs === 0)) {
      const { table } = source;
      report.log('info', 'table of flows read', { table, rows: segment.mark.rows });
      return yield stepOf(segment, true, left > 0);
    }
    if (!isFull) {
      if (!segment.writer.isEmpty()) yield stepOf(segment, false, false);
      await waitForMore(segment);
    }
    asked = ahead ?? ask(segment.mark.after, left);
  }
}

/** Reads one segment behind `mark`. After its last step, and once it is closed, nothing comes any more. */
export const tableReading = (
  source: PostgresConfig,
  mark: TableMark,
  batchMax: number,
  labels: LabelTable,
  report: Reporter,
): Reading => {
  const closed = new AbortController();
  const pages = openPages(source, report);
  const writer = rowWriter(0, batchMax, labels);
  const segment: Segment = {
    ...{ source, pages, writer, report, closed, mark },
    ...{ taken: 0, malformed: 0 },
  };
  const reading = steps(segment);
  return {
    next: async () => {
      const { done, value } = await reading.next();
      return done === true ? await new Promise<Step>(() => undefined) : value;
    },
    close: () => {
      closed.abort();
      pages.close();
    },
  };
};
