/**
 * Claim: four senders that flood one mailbox are held back: no more wait than the mailbox is deep, the receiver's timers
 * come in time, and each sender is served alike.
 *
 *   node runtime bench flood [--rounds n] [-o json]
 */
import { testSystem } from '#test/kit/system.ts';
import { benchActor } from './kit/lane-system.ts';
import { benchMain, type Options } from './kit/main.ts';
import { type Figures, interleave } from './kit/rounds.ts';
import { figure, type Measured } from './kit/rows.ts';

const SENDERS = 4;
const DEPTH = 4096;
const WARM_MS = 1000;
const FOR_MS = 4000;
const MIB = 2 ** 20;

const flood = async (): Promise<Figures> => {
  const mailbox = { depth: DEPTH, onFull: 'backpressure' } as const;
  const config = { senders: SENDERS, warmMs: WARM_MS, forMs: FOR_MS };
  const pourers = Array.from({ length: SENDERS }, (_, sender) =>
    benchActor(`p${sender}`, 'pourer', { sender, perStep: 16 }),
  );
  const system = await testSystem([
    benchActor('funnel', 'funnel', config, { mailbox }),
    ...pourers,
  ]);
  try {
    await new Promise((over) => setTimeout(over, WARM_MS));
    const before = process.memoryUsage.rss();
    let most = before;
    const timer = setInterval(() => {
      most = Math.max(most, process.memoryUsage.rss());
    }, 100);
    const told = await system.until(() => system.fact('funnel', 'figures'), FOR_MS + 60_000);
    clearInterval(timer);
    const { depthMax } = system.metrics().actors[0]!;
    const figures = JSON.parse(told) as { fastest: number; slowest: number };
    const unfair = (1 - figures.slowest / figures.fastest) * 100;
    return { ...figures, unfair, depthMax, grownMiB: (most - before) / MIB };
  } finally {
    await system.end();
  }
};

const run = async ({ rounds }: Options): Promise<Measured[]> => {
  const all = await interleave([{ name: 'flood', measure: flood }], rounds);
  const of = (name: string) => all.of('flood', name);
  const what = (name: string) => ({ bench: 'flood', name: `4 senders, ${name}` });
  return [
    figure({ ...what('served'), unit: 'msg/s' }, of('rate')),
    figure({ ...what(`waiting at most (mailbox ${DEPTH})`), unit: 'count' }, of('depthMax'), {
      gate: DEPTH,
    }),
    figure({ ...what('memory of the process grown in 4 s'), unit: 'MiB' }, of('grownMiB')),
    figure({ ...what("receiver's timer late, p99"), unit: 'ms' }, of('lateP99'), { gate: 5 }),
    figure({ ...what('slowest sender behind the fastest'), unit: '%' }, of('unfair'), { gate: 20 }),
  ];
};

await benchMain(run, 3);
