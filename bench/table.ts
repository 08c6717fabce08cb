/**
 * How fast a table of flows is read, and with how much memory: `node bench/table.ts [rows]`, 2.5 million unless said
 * otherwise, of 82 columns each. Starts a PostgreSQL of its own; reads with telemetry's own source, in a process
 * that does nothing else.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fillFlowTable } from '#test/kit/flow-table.ts';
import { postgresServer } from '#test/kit/postgres.ts';
import { ROOT } from '#test/kit/processes.ts';

const STEP = 100_000;
const SAMPLE_MS = 500;
const MIB = 1 << 20;

/** Resident memory of a process, MiB. */
const rssOf = (pid: number): number => {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1]);
  return (pages * 4096) / MIB;
};

const main = async (rows: number): Promise<void> => {
  const server = await postgresServer();
  try {
    for (let from = 1; from <= rows; from += STEP) {
      await fillFlowTable(server, 'flows', Math.min(STEP, rows - from + 1), from);
    }
    await server.execute('ANALYZE flows');
    const size = await server.execute("SELECT pg_total_relation_size('flows') AS bytes");
    const program = join(ROOT, 'test/kit/table-process.ts');
    const folder = mkdtempSync(join(tmpdir(), 'cybermesh-table-'));
    const beganMs = performance.now();
    const child = spawn(process.execPath, [program, folder, server.url, 'flows', '250000'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const samples: number[] = [];
    const timer = setInterval(() => samples.push(rssOf(child.pid!)), SAMPLE_MS);
    let read = 0;
    for await (const text of createInterface({ input: child.stdout })) {
      const line = JSON.parse(text) as { readonly from?: number; readonly to?: number };
      if (line.from !== undefined && line.to !== undefined) read += line.to - line.from + 1;
    }
    clearInterval(timer);
    const seconds = (performance.now() - beganMs) / 1000;
    const half = samples.slice(Math.floor(samples.length / 4), Math.floor(samples.length / 2));
    console.log(
      JSON.stringify({
        rows: read,
        tableMiB: Math.round(Number(size.rows[0]?.bytes) / MIB),
        seconds: Math.round(seconds),
        rowsPerSecond: Math.round(read / seconds),
        rssMiB: {
          secondQuarterMax: Math.round(Math.max(...half)),
          max: Math.round(Math.max(...samples)),
          last: Math.round(samples.at(-1) ?? 0),
        },
      }),
    );
  } finally {
    await server.close();
  }
};

await main(Number(process.argv[2] ?? 2_500_000));
