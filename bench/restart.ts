/**
 * Claim: an actor whose handler throws is back within 100 us on its thread, one whose thread dies within 5 ms on a spare
 * thread, and without a spare in 1.2 times the start of a bare worker.
 *
 *   node bench/restart.ts [--rounds n] [-o json]
 *
 * Away is from the throw, or from the order to terminate, until the next incarnation has a message in hand. The baselines run
 * in the same rounds: a worker that says 'up' and nothing else, the same after importing the actor's own module (with what
 * it needs: zod), and a bare worker that is terminated and started again.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';
import { monotonicMs } from '#native/clock.ts';
import type { ActorSpec, SystemSpec } from '#runtime/spec.ts';
import { type System, startSystem } from '#runtime/system.ts';
import { benchMain } from './kit/main.ts';
import { compared, figure, type Measured } from './kit/rows.ts';

const FALLS_A_ROUND = 50;
/** Between two disturbances, so that each begins from rest. */
const REST_MS = 150;
const DEADLINE_MS = 30_000;

const BARE = `import { parentPort, workerData } from 'node:worker_threads';
for (const module of workerData) await import(module);
parentPort.postMessage('up');
parentPort.on('message', () => {});
`;

const fixture = (name: string): string => new URL(`./fixtures/${name}.ts`, import.meta.url).href;
const spec = (name: string, config: object): ActorSpec => ({
  kind: 'actor',
  name,
  actor: name,
  module: fixture(name),
  config,
  thread: 'own',
  restart: 'permanent',
  shutdownMs: 1000,
  mailbox: { depth: 4096, onFull: 'backpressure' },
});

type Bench = {
  readonly system: System;
  /** Sends to the prodder. */
  readonly prod: (message: object) => void;
  /** The next value of this fact of the phoenix. */
  readonly next: (name: string) => Promise<number>;
  readonly end: () => Promise<void>;
};

const within = async <T>(work: Promise<T>, what: string): Promise<T> => {
  const late = sleep(DEADLINE_MS, undefined, { ref: false }).then(() => {
    throw new Error(`${what}: not within ${DEADLINE_MS} ms`);
  });
  return Promise.race([work, late]);
};

const open = async (folder: string, given: Partial<SystemSpec>): Promise<Bench> => {
  const channel = randomUUID();
  const wire = new BroadcastChannel(channel);
  const waiting = new Map<string, (value: number) => void>();
  const node = {
    name: 'bench',
    dataDir: folder,
    genesis: { file: '', sha256: '' },
    database: { url: '' },
  };
  // Every restart is immediate: what is measured is the restart, not its back-off.
  const backoff = { firstMs: 0, mostMs: 0, jitter: 0, resetMs: 1 };
  const root = {
    kind: 'supervisor',
    name: 'root',
    strategy: 'one_for_one',
    intensity: { restarts: 1e6, periodS: 1 },
    backoff,
    children: [spec('phoenix', {}), spec('prodder', { channel })],
  } as const;
  const codeCache = path.join(folder, 'code');
  const system = await startSystem(
    { root, node, controlSocket: false, codeCache, ...given },
    (event) => {
      if (event.kind !== 'signal' || event.event.kind !== 'fact') return;
      const { name, value } = event.event;
      waiting.get(name)?.(Number(value));
      waiting.delete(name);
    },
  );
  const bench: Bench = {
    system,
    prod: (message) => wire.postMessage(message),
    next: (name) => within(new Promise((done) => waiting.set(name, done)), name),
    end: async () => {
      wire.close();
      await system.stop();
    },
  };
  const first = bench.next('first');
  bench.prod({ kind: 'tick' });
  await first;
  bench.prod({ kind: 'quiet' });
  return bench;
};

let falls = 0;
/** Microseconds between a throw and the same message in the hands of the next incarnation. */
const fall = (bench: Bench): Promise<number> => {
  const away = bench.next('away');
  bench.prod({ kind: 'fall', n: ++falls });
  return away;
};

/** Milliseconds between the order to terminate its thread and the first message of the next incarnation. */
const kill = async (bench: Bench): Promise<number> => {
  const first = bench.next('first');
  bench.prod({ kind: 'tick' });
  const fromMs = monotonicMs();
  await bench.system.kill('phoenix');
  const backMs = await first;
  bench.prod({ kind: 'quiet' });
  return backMs - fromMs;
};

const spareReady = async ({ system }: Bench): Promise<void> => {
  const untilMs = performance.now() + DEADLINE_MS;
  while (system.metrics().sparesReady === 0) {
    if (performance.now() > untilMs) throw new Error('no spare thread');
    await sleep(20);
  }
};

const boot = async (file: string, modules: readonly string[]): Promise<Worker> => {
  const worker = new Worker(file, { workerData: modules });
  await new Promise((up, failed) => worker.once('message', up).once('error', failed));
  return worker;
};
const start = async (file: string, modules: readonly string[]): Promise<number> => {
  const fromMs = performance.now();
  const worker = await boot(file, modules);
  const tookMs = performance.now() - fromMs;
  await worker.terminate();
  return tookMs;
};
const startAgain = async (file: string): Promise<number> => {
  const worker = await boot(file, []);
  const fromMs = performance.now();
  await worker.terminate();
  const again = await boot(file, []);
  const tookMs = performance.now() - fromMs;
  await again.terminate();
  return tookMs;
};

type Series = {
  readonly softUs: number[];
  readonly firstUs: number[];
  readonly warmMs: number[];
  readonly coldMs: number[];
  readonly bareMs: number[];
  readonly bareActorMs: number[];
  readonly bareAgainMs: number[];
};

const measure = async (rounds: number, folder: string): Promise<Series> => {
  const bare = path.join(folder, 'bare.mjs');
  writeFileSync(bare, BARE);
  const soft = await open(path.join(folder, 'soft'), {});
  const cold = await open(path.join(folder, 'cold'), {});
  const warm = await open(path.join(folder, 'warm'), { spares: 1 });
  const series: Series = {
    softUs: [],
    firstUs: [],
    warmMs: [],
    coldMs: [],
    bareMs: [],
    bareActorMs: [],
    bareAgainMs: [],
  };
  for (let round = -1; round < rounds; round++) {
    const into = round < 0 ? undefined : series; // the first one warms up
    await spareReady(warm);
    await sleep(REST_MS);
    const softUs: number[] = [];
    for (let k = 0; k < FALLS_A_ROUND; k++) softUs.push(await fall(soft));
    into?.softUs.push(...softUs);
    await sleep(REST_MS);
    const warmMs = await kill(warm);
    into?.warmMs.push(warmMs);
    await spareReady(warm);
    await sleep(REST_MS);
    const coldMs = await kill(cold);
    into?.coldMs.push(coldMs);
    await sleep(REST_MS);
    const firstUs = await fall(cold);
    into?.firstUs.push(firstUs);
    await sleep(REST_MS);
    const bareMs = await start(bare, []);
    into?.bareMs.push(bareMs);
    await sleep(REST_MS);
    const bareActorMs = await start(bare, [fixture('phoenix')]);
    into?.bareActorMs.push(bareActorMs);
    await sleep(REST_MS);
    const againMs = await startAgain(bare);
    into?.bareAgainMs.push(againMs);
  }
  await soft.end();
  await cold.end();
  await warm.end();
  return series;
};

/** The cold restart may take 1.2 times its baseline: a ratio says how many times better. */
const COLD_GATE = 1 / 1.2;

const rowsOf = (s: Series): Measured[] => {
  const us = (name: string) => ({ bench: 'restart', name, unit: 'us' }) as const;
  const ms = (name: string) => ({ bench: 'restart', name, unit: 'ms' }) as const;
  return [
    figure(us('soft: a throw, the same thread'), s.softUs, { gate: 100, stretch: 50 }),
    figure(us('soft, the first on a new thread'), s.firstUs),
    figure(ms('warm: a dead thread, a spare one'), s.warmMs, { gate: 5, stretch: 2 }),
    compared(ms('cold, against the start of a bare worker'), s.coldMs, s.bareMs, {
      gate: COLD_GATE,
      stretch: 1 / 1.05,
    }),
    compared(ms('cold, against a bare one with the module'), s.coldMs, s.bareActorMs),
    figure(ms('baseline: a bare worker terminated, and another'), s.bareAgainMs),
  ];
};

await benchMain(async ({ rounds }) => {
  const folder = mkdtempSync(path.join(tmpdir(), 'cybermesh-restart-'));
  try {
    return rowsOf(await measure(rounds, folder));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 15);
