/** Four validators in one system of threads, for integration tests: real replicas, executors, libp2p and disks. */

import { createPrivateKey, randomInt } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { configHash, encodeGenesis, type Genesis } from '#proto/genesis.ts';
import type { NodeSettings } from '#runtime/actor.ts';
import type { SupervisorSpec } from '#runtime/spec.ts';
import { testGenesis } from './chain-genesis.ts';
import { actor, supervisor } from './system.ts';

export const VALIDATORS = ['v1', 'v2', 'v3', 'v4'] as const;
export type ValidatorName = (typeof VALIDATORS)[number];

const PKCS8 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** The key files and the genesis of `testGenesis`, as `genesis.create` would have left them. */
export const prepareValidators = (
  dataDir: string,
  parameters: Partial<Genesis['parameters']> = {},
): NodeSettings => {
  const folder = join(dataDir, 'keys');
  mkdirSync(folder, { recursive: true });
  const seeds = { v1: 1, v2: 2, v3: 3, v4: 4, detector: 11, operator: 12, enforcer: 13 };
  for (const [name, seed] of Object.entries(seeds)) {
    const der = Buffer.concat([PKCS8, Buffer.alloc(32, seed)]);
    const pem = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const text = pem.export({ format: 'pem', type: 'pkcs8' });
    writeFileSync(join(folder, `${name}.pem`), text, { mode: 0o600 });
  }
  const genesis = testGenesis(parameters);
  const file = join(dataDir, 'genesis.json');
  writeFileSync(file, encodeGenesis(genesis));
  const sha256 = hex(configHash(genesis, crypto));
  return { name: 'test', dataDir, genesis: { file, sha256 }, database: { url: 'embedded' } };
};

/** Below the range that the kernel gives to outgoing connections, which would take a free one meanwhile. */
const FIRST_PORT = 10_000;
const PORTS = 20_000;
const PORT_TRIES = 64;

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)));
  });

/** The first of `count` ports of 127.0.0.1, one after the other, at which nobody listens now. */
export const freePorts = async (count: number): Promise<number> => {
  for (let attempt = 0; attempt < PORT_TRIES; attempt++) {
    const first = randomInt(FIRST_PORT, FIRST_PORT + PORTS - count);
    const free = await Promise.all(Array.from({ length: count }, (_, k) => listens(first + k)));
    if (free.every(Boolean)) return first;
  }
  throw new Error(`no free port among ${PORT_TRIES}`);
};

/** A port of 127.0.0.1 at which nobody listens now. */
export const freePort = (): Promise<number> => freePorts(1);

export type Places = { readonly [V in ValidatorName]: number };
export const freePlaces = async (): Promise<Places> => ({
  v1: await freePort(),
  v2: await freePort(),
  v3: await freePort(),
  v4: await freePort(),
});

const multiaddr = (port: number): string => `/ip4/127.0.0.1/tcp/${port}`;
const actorOf = (name: string): URL => new URL(`../../actors/${name}/actor.ts`, import.meta.url);

/** One branch. `dial`: where it finds its peers, if not where they listen (a proxy between them). */
export const validator = (
  name: ValidatorName,
  listen: Places,
  options: { readonly dial?: Places; readonly ingest?: URL; readonly timeoutMs?: number } = {},
): SupervisorSpec => {
  const dial = options.dial ?? listen;
  const peers = Object.fromEntries(VALIDATORS.map((peer) => [peer, multiaddr(dial[peer])]));
  const settings = {
    name,
    key: `${name}.pem`,
    listen: multiaddr(listen[name]),
    peers,
    protocol: '/cybermesh/consensus/1',
    timeoutMs: options.timeoutMs ?? 1000,
    timeoutMinMs: 500,
    timeoutMaxMs: 30_000,
    heartbeatMs: 500,
    heartbeatsMissedMax: 6,
    queueFramesMax: 4096,
    queueBytesMax: 64 << 20,
  };
  const chain = { horizonBlocks: 1024, forksMax: 64, verifiedMax: 16_384, readsMax: 64 };
  return supervisor(
    name,
    [
      actor('replica', actorOf('replica'), { config: settings }),
      actor('executor', actorOf('executor'), { thread: 'replica', config: chain }),
      actor('ingest', options.ingest ?? actorOf('ingest'), { thread: 'replica' }),
    ],
    'rest_for_one',
  );
};
