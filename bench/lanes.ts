/**
 * What the runtime costs: tells and asks through the whole API, against postMessage in the same run.
 * `node bench/lanes.ts [messages]`. Each figure is the median of three rounds.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { ActorSpec } from '#runtime/spec.ts';
import { startSystem } from '#runtime/system.ts';

const MESSAGES = Number(process.argv[2] ?? 1_000_000);
const ROUNDS = 3;
const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[1]!;

const spec = (name: string, config: object = {}): ActorSpec => ({
  kind: 'actor',
  name,
  actor: name,
  module: new URL(`./fixtures/${name}.ts`, import.meta.url).href,
  config,
  thread: 'own',
  restart: 'temporary',
  shutdownMs: 1000,
  mailbox: { depth: 65_536, onFull: 'backpressure' },
});

type Figures = { readonly [name: string]: number };

/** One system for each round: what the source measured of its messages. */
const lanes = async (job: string): Promise<Figures> => {
  const dataDir = mkdtempSync(join(tmpdir(), 'cybermesh-bench-'));
  const node = { name: 'bench', dataDir, genesis: { file: '', sha256: '' }, database: { url: '' } };
  const children = [spec('sink'), spec('source', { job, messages: MESSAGES })];
  const intensity = { restarts: 0, periodS: 1 };
  const root = {
    kind: 'supervisor',
    name: 'root',
    strategy: 'one_for_one',
    intensity,
    children,
  } as const;
  let done: (figures: Figures) => void = () => {};
  const measured = new Promise<Figures>((resolve) => {
    done = resolve;
  });
  const system = await startSystem({ root, node, controlSocket: false }, (event) => {
    if (event.kind === 'signal' && event.event.kind === 'fact') done(JSON.parse(event.event.value));
  });
  const figures = await measured;
  await system.stop();
  rmSync(dataDir, { recursive: true, force: true });
  return figures;
};

/** The same through postMessage: one object a message, and a round trip at a time. */
const posted = async (job: string): Promise<Figures> => {
  const worker = new Worker(new URL('./fixtures/posted.ts', import.meta.url), {
    workerData: { job, messages: Math.min(MESSAGES, 300_000) },
  });
  const figures = await new Promise<Figures>((resolve) => worker.once('message', resolve));
  await worker.terminate();
  return figures;
};

const rounds = async (measure: () => Promise<Figures>): Promise<Figures> => {
  const all: Figures[] = [];
  for (let k = 0; k < ROUNDS; k++) all.push(await measure());
  const names = Object.keys(all[0]!);
  return Object.fromEntries(names.map((n) => [n, median(all.map((f) => f[n]!))]));
};

const line = (what: string, ours: number, theirs: number, unit: string, digits = 0): void => {
  const ratio = unit === 'us' ? theirs / ours : ours / theirs;
  const show = (n: number): string => n.toLocaleString('en', { maximumFractionDigits: digits });
  console.log(
    `${what.padEnd(28)} ${show(ours).padStart(12)} ${unit.padEnd(6)} postMessage ${show(theirs).padStart(9)}  x${ratio.toFixed(1)}`,
  );
};

console.log(
  `${MESSAGES.toLocaleString('en')} messages, Node ${process.version}, median of ${ROUNDS}`,
);
for (const job of ['tell small', 'tell event'] as const) {
  const ours = await rounds(() => lanes(job));
  const theirs = await rounds(() => posted(job));
  line(
    job === 'tell small' ? 'tell, 64 B' : 'tell, event of 300 B',
    ours.rate!,
    theirs.rate!,
    'msg/s',
  );
}
for (const job of ['ask', 'ask parked'] as const) {
  const ours = await rounds(() => lanes(job));
  const theirs = await rounds(() => posted(job));
  line(`${job}, p50`, ours.p50!, theirs.p50!, 'us', 1);
  line(`${job}, p99`, ours.p99!, theirs.p99!, 'us', 1);
}
process.exit(0);
