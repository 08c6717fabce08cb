/**
 * Claim: the local topology starts, without traffic, in a few seconds of a processor, and stops at once; the first start of a
 * data folder, which makes keys, genesis and database and compiles everything, costs less than twice that.
 *
 *   node bench/starts.ts [--rounds n] [-o json]
 *   BESIDE=<folder of another checkout> node bench/starts.ts        # that one is the baseline, in the same rounds
 *
 * User and system time of the process with all of its threads, from /proc: until everybody is ready, and to its end.
 */
import path from 'node:path';
import { ownPorts } from '#test/kit/local-node.ts';
import { launch, ROOT, type Running, temporaryFolder } from '#test/kit/processes.ts';
import { benchMain, type Options } from './kit/main.ts';
import { childrenCpuSeconds, cpuSeconds, residentMiB } from './kit/proc.ts';
import { interleave, type Party } from './kit/rounds.ts';
import { compared, figure, type Measured } from './kit/rows.ts';

const PATIENCE_MS = 120_000;
/** Each may be the last. */
const READY = [
  /"actor":"persistence","msg":"ready"/,
  /"actor":"api","msg":"ready"/,
  ...['v1', 'v2', 'v3', 'v4'].map((name) => new RegExp(`"${name}.replica".*agreed on the genesis`)),
];

const launchNode = (root: string, caches: string, sets: readonly string[]): Running => {
  const { NODE_COMPILE_CACHE: _, ...env } = process.env;
  const args = ['start', 'config/local.yaml', '--source', 'none', ...sets];
  return launch(
    path.join(root, 'node_modules', '.bin', 'node'),
    [path.join(root, 'runtime', 'index.js'), ...args],
    { cwd: root, env: { ...env, XDG_CACHE_HOME: caches }, timeoutMs: 2 * PATIENCE_MS },
  );
};

type Run = {
  readonly ready: number;
  readonly all: number;
  readonly resident: number;
  readonly stop: number;
};

/** Starts it, waits until it serves, stops it. */
const run = async (root: string, folder: string, sets: readonly string[]): Promise<Run> => {
  const beforeS = childrenCpuSeconds();
  const node = launchNode(root, path.join(folder, 'caches'), sets);
  try {
    for (const pattern of READY) await node.saw(pattern, PATIENCE_MS);
    const readyMs = cpuSeconds(`/proc/${node.child.pid}/stat`) * 1000;
    const resident = residentMiB(node.child.pid!);
    const stopMs = performance.now();
    node.signal('SIGTERM');
    const { code } = await node.done;
    if (code !== 0) throw new Error(`it ended with ${code}: ${node.output().slice(-2000)}`);
    const stop = performance.now() - stopMs;
    return { ready: readyMs, all: (childrenCpuSeconds() - beforeS) * 1000, resident, stop };
  } finally {
    node.signal('SIGKILL');
    await node.done;
  }
};

/** A first start on an empty data folder, and a second one. */
const partyOf = (name: string, root: string): Party => ({
  name,
  measure: async () => {
    const made = temporaryFolder('cybermesh-starts-');
    try {
      const { set } = await ownPorts();
      const dataDir = `node.dataDir=${path.join(made.path, 'data')}`;
      const sets = [...set, dataDir].map((one) => `--set=${one}`);
      const first = await run(root, made.path, sets);
      const again = await run(root, made.path, sets);
      const { ready, all, resident, stop } = again;
      return { first: first.all, firstStop: first.stop, ready, all, resident, stop };
    } finally {
      made.remove();
    }
  },
});

const ROWS: readonly (readonly [figure: string, name: string, unit: 'ms' | 'MiB'])[] = [
  ['first', 'first start and stop, processor', 'ms'],
  ['firstStop', 'first stop, wall', 'ms'],
  ['ready', 'later start until ready, processor', 'ms'],
  ['all', 'later start and stop, processor', 'ms'],
  ['stop', 'later stop, wall', 'ms'],
  ['resident', 'resident when ready', 'MiB'],
];

const starts = async ({ rounds }: Options): Promise<Measured[]> => {
  const { BESIDE: beside } = process.env;
  const parties = [partyOf('ours', ROOT), ...(beside ? [partyOf('beside', beside)] : [])];
  const all = await interleave(parties, rounds);
  return ROWS.map(([name, text, unit]) => {
    const what = { bench: 'starts', name: text, unit };
    const ours = all.of('ours', name);
    return all.has('beside') ? compared(what, ours, all.of('beside', name)) : figure(what, ours);
  });
};

await benchMain(starts, 3);
