/** The local topology as one system of threads, with a data folder and ports of its own. */
import path from 'node:path';
import { Subject } from 'rxjs';
import { launchSystem, prepareActors } from '#runtime/cli/launch.ts';
import type { RuntimeEvent } from '#runtime/events.ts';
import type { System } from '#runtime/system.ts';
import { ACTORS_ROOT } from '#runtime/topology/actors.ts';
import { loadTopology, type Topology } from '#runtime/topology/load.ts';
import { giveDatabase } from './new-database.ts';
import { freePort } from './ports.ts';
import { ROOT } from './processes.ts';
import { freePlaces, VALIDATORS } from './validators.ts';

export type LocalNode = {
  readonly system: System;
  readonly dataDir: string;
  readonly apiPort: number;
  readonly events: readonly RuntimeEvent[];
  /** Resolves when a finite source and all that it caused are settled. */
  readonly complete: Promise<void>;
  readonly failed: Promise<string>;
};

/** `--set` lines that give a local node its own ports, so that several may run at once. */
export const ownPorts = async (): Promise<{ readonly set: string[]; readonly apiPort: number }> => {
  const places = await freePlaces();
  const apiPort = await freePort();
  const set = [`api.config.port=${apiPort}`];
  for (const name of VALIDATORS) {
    set.push(`${name}.replica.config.listen=/ip4/127.0.0.1/tcp/${places[name]}`);
    for (const peer of VALIDATORS) {
      const address = `/ip4/127.0.0.1/tcp/${places[peer]}`;
      set.push(`${name}.replica.config.peers.${peer}=${address}`);
    }
  }
  return { set, apiPort };
};

/** The `--set` lines of a source. */
export const sourceSet = (kind: string, file?: string): string[] => {
  const at = 'detection.telemetry.config.source';
  return [`${at}.kind=${kind}`, ...(file === undefined ? [] : [`${at}.path=${file}`])];
};

export type Extra = { readonly name: string; readonly module: URL };

/** The topology with actors of the test's own behind those that it names; their settings are those of the first. */
const withExtra = (topology: Topology, extra: readonly Extra[]): Topology => {
  const { root } = topology;
  const first = root.children.find((child) => child.kind === 'actor');
  if (first === undefined) throw new Error('the topology begins with no actor');
  const lines = extra.map(({ name, module }) => ({
    ...first,
    line: { ...first.line, name },
    settings: { ...first.settings, actor: name },
    config: {},
    module,
  }));
  return { ...topology, root: { ...root, children: [...root.children, ...lines] } };
};

export const startLocal = async (
  dataDir: string,
  set: readonly string[],
  extra: readonly Extra[] = [],
): Promise<LocalNode> => {
  const ports = await ownPorts();
  await giveDatabase(dataDir);
  const topology = await loadTopology(path.join(ROOT, 'config/local.yaml'), {
    set: [...ports.set, `node.dataDir=${dataDir}`, ...set],
  });
  if (!topology.ok) throw new Error(JSON.stringify(topology.error));
  const genesis = await prepareActors(topology.value.view, ACTORS_ROOT);
  if (!genesis.ok) throw new Error(genesis.error);
  const events: RuntimeEvent[] = [];
  const heard = new Subject<RuntimeEvent>();
  const complete = new Promise<void>((resolve) => {
    heard.subscribe((event) => {
      if (event.kind === 'signal' && event.event.kind === 'complete') resolve();
    });
  });
  const watch = (event: RuntimeEvent): void => {
    events.push(event);
    heard.next(event);
  };
  const launched = await launchSystem(withExtra(topology.value, extra), genesis.value, watch);
  if (!launched.ok) throw new Error(launched.error);
  const { system, failed } = launched.value;
  return { system, dataDir, apiPort: ports.apiPort, events, complete, failed };
};
