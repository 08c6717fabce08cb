/**
 * Claim: a system of 20 actors, a thread each, that have nothing to do costs no processor time to speak of. User and
 * system time of a process that holds nothing else, from /proc, over 20 s.
 *
 *   node runtime bench idle-system [--rounds n] [-o json]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import { fixtureFile } from './kit/lane-system.ts';
import { benchMain, type Options } from './kit/main.ts';
import { cpuSeconds, residentMiB } from './kit/proc.ts';
import { type Figures, interleave } from './kit/rounds.ts';
import { figure, type Measured } from './kit/rows.ts';

const ACTORS = 20;
/** The start and its garbage are over. */
const SETTLE_MS = 20_000;
const SPAN_MS = 20_000;

const idle = async (): Promise<Figures> => {
  const args = ['--no-warnings', fixtureFile('idle-process.ts'), String(ACTORS)];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const failed = once(child, 'exit').then(([code]) => {
      throw new Error(`the idle system ended with ${code}`);
    });
    failed.catch(() => {}); // it is ended below
    await Promise.race([once(child.stdout, 'data'), failed]);
    await pause(SETTLE_MS);
    const before = cpuSeconds(`/proc/${child.pid}/stat`);
    const fromMs = performance.now();
    await pause(SPAN_MS);
    const used = cpuSeconds(`/proc/${child.pid}/stat`) - before;
    const percent = (used * 100_000) / (performance.now() - fromMs);
    return { percent, resident: residentMiB(child.pid!) };
  } finally {
    if (child.exitCode === null && child.kill('SIGKILL')) await once(child, 'exit');
  }
};

const run = async ({ rounds }: Options): Promise<Measured[]> => {
  const all = await interleave([{ name: 'idle', measure: idle }], rounds);
  const what = { bench: 'idle-system', name: `${ACTORS} actors, of a core`, unit: '%' } as const;
  return [
    figure(what, all.of('idle', 'percent'), { gate: 0.5, stretch: 0.1 }),
    figure(
      { ...what, name: `${ACTORS} actors, resident`, unit: 'MiB' },
      all.of('idle', 'resident'),
    ),
  ];
};

await benchMain(run, 3);
