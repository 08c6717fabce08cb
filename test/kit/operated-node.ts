/** A node as an operator meets it: the local topology as a process, and the commands that speak to it. */
import path from 'node:path';
import { ownPorts, sourceSet } from './local-node.ts';
import { giveDatabase } from './new-database.ts';
import { cybermesh, launchCybermesh, type Running } from './processes.ts';
import { until } from './system.ts';

export const PATIENCE_MS = 120_000;
export const TOPOLOGY = 'config/local.yaml';

export type OperatedNode = {
  readonly run: Running;
  readonly dataDir: string;
  /** As http://127.0.0.1:9441/api/v1. */
  readonly api: string;
  /** Its settings, as `--set=path=value`. */
  readonly sets: readonly string[];
  /** `node runtime <command> ... -o json` with the settings of the node, as a process: what was printed. */
  readonly json: <T>(...args: readonly string[]) => Promise<T>;
  /** Ends it and waits. */
  readonly stop: () => Promise<void>;
};

/** Without traffic, with ports of its own, ready to serve. */
export const operatedNode = async (
  dataDir: string,
  extra: readonly string[] = [],
): Promise<OperatedNode> => {
  const { set, apiPort } = await ownPorts();
  await giveDatabase(dataDir);
  const lines = [...set, `node.dataDir=${path.resolve(dataDir)}`, ...sourceSet('none'), ...extra];
  const sets = lines.map((one) => `--set=${one}`);
  const run = launchCybermesh(['start', TOPOLOGY, ...sets], { timeoutMs: 10 * PATIENCE_MS });
  const api = `http://127.0.0.1:${apiPort}/api/v1`;
  const isReady = async (): Promise<boolean> => {
    if (run.child.exitCode !== null) throw new Error(run.output());
    return (await fetch(`${api}/ready`).catch(() => undefined))?.status === 200;
  };
  await until(isReady, PATIENCE_MS, 100);
  return {
    ...{ run, dataDir, api, sets },
    json: async <T>(...args: readonly string[]): Promise<T> => {
      const line = [...args, '-o', 'json', ...sets];
      const { stdout, stderr } = await cybermesh(line, { timeoutMs: 2 * PATIENCE_MS });
      if (stdout === '') throw new Error(stderr);
      return JSON.parse(stdout) as T;
    },
    stop: async () => {
      run.signal('SIGTERM');
      await run.done;
    },
  };
};
