/**
 * Claim: the local topology without traffic costs less than 5 % of a core. Processor time of the whole process and of
 * each of its threads over 30 s, from /proc, and the memory at the end.
 *
 *   node bench/idle.ts [seconds] [-o json]
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ownPorts } from '#test/kit/local-node.ts';
import { launchCybermesh, temporaryFolder } from '#test/kit/processes.ts';
import { markdown } from './kit/markdown.ts';
import { cpuSeconds, residentMiB } from './kit/proc.ts';
import { provenance } from './kit/provenance.ts';

/** The start is over, its garbage collected. */
const SETTLE_MS = 20_000;
const THREADS_SHOWN = 16;

type Sample = { readonly total: number; readonly threads: ReadonlyMap<string, number> };

const sample = (pid: number): Sample => {
  const folder = `/proc/${pid}/task`;
  const threads = readdirSync(folder).flatMap((id) => {
    try {
      const name = readFileSync(path.join(folder, id, 'comm'), 'utf8').trim();
      return [[`${name} ${id}`, cpuSeconds(path.join(folder, id, 'stat'))] as const];
    } catch {
      return []; // It ended between the listing and the reading.
    }
  });
  return { total: cpuSeconds(`/proc/${pid}/stat`), threads: new Map(threads) };
};

const main = async (): Promise<void> => {
  const options = { o: { type: 'string', short: 'o' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const spanMs = Number(positionals[0] ?? 30) * 1000;
  const made = temporaryFolder('cybermesh-idle-');
  const { set } = await ownPorts();
  const sets = [...set, `node.dataDir=${path.join(made.path, 'data')}`].flatMap((one) => [
    '--set',
    one,
  ]);
  const run = launchCybermesh(['start', 'config/local.yaml', ...sets, '--source', 'none'], {
    timeoutMs: spanMs + SETTLE_MS + 120_000,
  });
  try {
    await run.saw(/"actor":"persistence","msg":"ready"/, 60_000);
    await sleep(SETTLE_MS);
    const pid = run.child.pid!;
    const before = sample(pid);
    const fromMs = performance.now();
    await sleep(spanMs);
    const after = sample(pid);
    const seconds = (performance.now() - fromMs) / 1000;
    const share = (used: number): number => Number(((used * 100) / seconds).toFixed(2));
    const threads = [...after.threads]
      .map(([name, used]) => ({ name, percent: share(used - (before.threads.get(name) ?? 0)) }))
      .sort((a, b) => b.percent - a.percent);
    const result = {
      seconds: Number(seconds.toFixed(1)),
      percentOfACore: share(after.total - before.total),
      residentMiB: residentMiB(pid),
      threads: threads.slice(0, THREADS_SHOWN),
    };
    if (values.o === 'json') console.log(JSON.stringify(result));
    else {
      const { percentOfACore, residentMiB: resident } = result;
      console.log(`${provenance()}\n\n${percentOfACore} % of a core, ${resident} MiB resident\n`);
      console.log(
        markdown(
          ['thread', '% of a core'],
          result.threads.map(({ name, percent }) => [name, percent]),
        ),
      );
    }
  } finally {
    run.signal('SIGINT');
    await run.done;
    made.remove();
  }
};

await main();
