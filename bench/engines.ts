/**
 * Claim: flows a second through rules, math and ml: each alone on one thread, and all three in the running node, from
 * the table on disk to the votes, while everything else runs, too.
 *
 *   node bench/engines.ts [repetitions of Wednesday in the node's run] [-o json]
 *
 * In the node telemetry reads ahead by a bounded number of batches, so the time from the first row to the last is the
 * time that the slowest engine takes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { discrepancies, type LogLine, runSource } from '#test/kit/capture-run.ts';
import { dataDir, flows, hasData } from '#test/kit/data.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { batchesOf } from './detection/batches.ts';
import { type Engine, mathEngine, mlEngine, rulesEngine } from './detection/engines.ts';
import { markdown } from './kit/markdown.ts';
import { provenance } from './kit/provenance.ts';

const ALONE_MS = 5000;
const RUN_S = 180;

type Rate = { readonly what: string; readonly flows: number; readonly perSecond: number };

const alone = async ({ name, judge }: Engine): Promise<Rate> => {
  const { batches } = batchesOf(flows('wed'));
  for (const batch of batches) await judge(batch);
  let count = 0;
  const fromMs = performance.now();
  while (performance.now() - fromMs < ALONE_MS) {
    for (const batch of batches) {
      await judge(batch);
      count += batch.flows;
    }
  }
  const seconds = (performance.now() - fromMs) / 1000;
  return { what: `${name} alone`, flows: count, perSecond: Math.round(count / seconds) };
};

/** Wednesday so many times, one after the other, under one head. */
const repeated = (times: number, file: string): void => {
  const text = gunzipSync(readFileSync(flows('wed')));
  const headEnd = text.indexOf('\n') + 1;
  const rows = text.subarray(headEnd);
  writeFileSync(
    file,
    Buffer.concat([text.subarray(0, headEnd), ...Array.from({ length: times }, () => rows)]),
  );
};

const timeOf = (log: readonly LogLine[], msg: string): number => {
  const line = log.find((one) => one.actor === 'detection.telemetry' && one.msg === msg);
  if (line === undefined) throw new Error(`telemetry did not say: ${msg}`);
  return Date.parse(String(line.time));
};

const inTheNode = async (times: number): Promise<Rate> => {
  const made = temporaryFolder('cybermesh-engines-');
  try {
    const file = path.join(made.path, 'wednesdays.csv');
    repeated(times, file);
    const run = await runSource(`flows:${file}`, { forS: RUN_S });
    const faults = discrepancies(run);
    if (faults.length > 0) throw new Error(faults.join('; '));
    const tookMs = timeOf(run.log, 'table of flows read') - timeOf(run.log, 'reading');
    const count = run.report.stages.vectors;
    return {
      what: 'all three in the node',
      flows: count,
      perSecond: Math.round((count * 1000) / tookMs),
    };
  } finally {
    made.remove();
  }
};

const main = async (): Promise<void> => {
  if (!hasData) throw new Error(`no data in ${dataDir}: set CYBERMESH_DATA`);
  const options = { o: { type: 'string', short: 'o' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const rates: Rate[] = [];
  for (const engine of [rulesEngine(), mathEngine(), await mlEngine('ddos')]) {
    rates.push(await alone(engine));
  }
  rates.push(await inTheNode(Number(positionals[0] ?? 10)));
  if (values.o === 'json') console.log(JSON.stringify({ at: provenance(), rates }));
  else {
    const rows = rates.map(({ what, flows: count, perSecond }) => [what, count, perSecond]);
    console.log(`${provenance()}\n\n${markdown(['', 'flows', 'flows a second'], rows)}`);
  }
};

await main();
