/** Three real brokers and a controller of their own, each a process: what one broker cannot show. */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { KAFKA_VERSIONS } from './kafka.ts';
import { endBroker, jars, java, startBroker } from './kafka-process.ts';
import { LITTLE } from './kafka-properties.ts';
import { freePort } from './ports.ts';
import { temporaryFolder } from './processes.ts';

const HOST = '127.0.0.1';
const CONTROLLER_ID = 100;

export type ClusterNode = {
  readonly id: number;
  readonly port: number;
  /** `host:port`. */
  readonly address: string;
  readonly start: () => Promise<void>;
  /** kill -9; `start` goes on with the same data, and does nothing while it runs. */
  readonly kill: () => Promise<void>;
};

export type KafkaCluster = {
  readonly nodes: readonly ClusterNode[];
  readonly addresses: readonly string[];
  readonly remove: () => Promise<void>;
};

type Settings = readonly (readonly [string, string])[];

const textOf = (settings: Settings): string =>
  `${settings.map(([name, value]) => `${name}=${value}`).join('\n')}\n`;

const common = (id: number, controllerPort: number, data: string): Settings => [
  ['node.id', String(id)],
  ['controller.quorum.voters', `${CONTROLLER_ID}@${HOST}:${controllerPort}`],
  ['controller.listener.names', 'CONTROLLER'],
  ['listener.security.protocol.map', 'PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT'],
  ['log.dirs', data],
  ...LITTLE,
];

const brokerSettings = (port: number): Settings => [
  ['process.roles', 'broker'],
  ['inter.broker.listener.name', 'PLAIN'],
  ['listeners', `PLAIN://${HOST}:${port}`],
  ['advertised.listeners', `PLAIN://${HOST}:${port}`],
  ['offsets.topic.replication.factor', '3'],
  ['default.replication.factor', '3'],
  ['auto.create.topics.enable', 'false'],
];

const controllerSettings = (port: number): Settings => [
  ['process.roles', 'controller'],
  ['listeners', `CONTROLLER://${HOST}:${port}`],
];

/** Starts them; resolves when every one is ready. */
export const startCluster = async (
  version: string = KAFKA_VERSIONS.four,
  brokers = 3,
): Promise<KafkaCluster> => {
  const lib = await jars(version);
  const folder = temporaryFolder('cybermesh-brokers-');
  const controllerPort = await freePort();
  const clusterId = randomBytes(16).toString('base64url');
  const running = new Set<ChildProcess>();

  const node = async (id: number, port: number, own: Settings): Promise<ClusterNode> => {
    const place = path.join(folder.path, String(id));
    mkdirSync(place);
    const properties = path.join(place, 'server.properties');
    const settings = [...common(id, controllerPort, path.join(place, 'data')), ...own];
    writeFileSync(properties, textOf(settings));
    await java(lib, 'kafka.tools.StorageTool', ['format', '-t', clusterId, '-c', properties]);
    let child: ChildProcess | undefined;
    return {
      ...{ id, port, address: `${HOST}:${port}` },
      start: async () => {
        if (child !== undefined && child.exitCode === null && child.signalCode === null) return;
        child = await startBroker(lib, properties, [port]);
        running.add(child);
      },
      kill: async () => {
        if (child !== undefined) await endBroker(child, 'SIGKILL');
      },
    };
  };
  const controller = await node(CONTROLLER_ID, controllerPort, controllerSettings(controllerPort));
  const nodes = await Promise.all(
    Array.from({ length: brokers }, async (_, k) => {
      const port = await freePort();
      return node(k + 1, port, brokerSettings(port));
    }),
  );
  await controller.start();
  await Promise.all(nodes.map((one) => one.start()));
  return {
    nodes,
    addresses: nodes.map((one) => one.address),
    remove: async () => {
      await Promise.all([...running].map((child) => endBroker(child, 'SIGKILL')));
      rmSync(folder.path, { recursive: true, force: true });
    },
  };
};
