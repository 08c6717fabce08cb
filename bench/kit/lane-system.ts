/** Two actors on two threads, one telling the other as fast as the runtime lets it. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ActorSpec, SystemSpec } from '#runtime/spec.ts';
import { startSystem } from '#runtime/system.ts';

export type Figures = { readonly [name: string]: number };

const spec = (name: string, config: object = {}): ActorSpec => ({
  kind: 'actor',
  name,
  actor: name,
  module: new URL(`../fixtures/${name}.ts`, import.meta.url).href,
  config,
  thread: 'own',
  restart: 'temporary',
  shutdownMs: 1000,
  mailbox: { depth: 65_536, onFull: 'backpressure' },
});

/** One system: what the source measured of its messages, and `cpuNs`: processor time of all threads, a message. */
export const laneFigures = async (
  job: string,
  messages: number,
  given: Partial<SystemSpec> = {},
): Promise<Figures> => {
  const dataDir = mkdtempSync(join(tmpdir(), 'cybermesh-bench-'));
  const node = { name: 'bench', dataDir, genesis: { file: '', sha256: '' }, database: { url: '' } };
  const children = [spec('sink'), spec('source', { job, messages })];
  const intensity = { restarts: 0, periodS: 1 };
  const strategy = 'one_for_one';
  const root = { kind: 'supervisor', name: 'root', strategy, intensity, children } as const;
  let done: (figures: Figures) => void = () => {};
  const measured = new Promise<Figures>((resolve) => {
    done = resolve;
  });
  const system = await startSystem({ root, node, controlSocket: false, ...given }, (event) => {
    if (event.kind === 'signal' && event.event.kind === 'fact') done(JSON.parse(event.event.value));
  });
  const before = process.cpuUsage();
  const figures = await measured;
  const { user, system: kernel } = process.cpuUsage(before);
  await system.stop();
  rmSync(dataDir, { recursive: true, force: true });
  return { ...figures, cpuNs: ((user + kernel) * 1000) / messages };
};
