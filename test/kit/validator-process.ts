/** Validators as users run them: config/validator.yaml, each in a process and with a data folder of its own. */
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { configHash, encodeGenesis, type Genesis } from '#proto/genesis.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import { openEmbedded } from '#runtime/bus/embedded.ts';
import { freePort } from './ports.ts';
import { cybermesh, launchCybermesh, type Running } from './processes.ts';
import { type Places, VALIDATORS, type ValidatorName } from './validators.ts';

export type ValidatorPlace = {
  readonly folder: string;
  readonly listen: Places;
  readonly api: Places;
};

export const apiPlaces = async (): Promise<Places> => ({
  v1: await freePort(),
  v2: await freePort(),
  v3: await freePort(),
  v4: await freePort(),
});

export const dataOf = ({ folder }: ValidatorPlace, name: ValidatorName): string =>
  path.join(folder, name);

/** Writes a genesis beside the others; returns how `start` is told of it. */
export const genesisSet = (
  { folder }: ValidatorPlace,
  name: string,
  genesis: Genesis,
): string[] => {
  const file = path.join(folder, `${name}.json`);
  writeFileSync(file, encodeGenesis(genesis));
  return [`genesis.file=${file}`, `genesis.sha256=${hex(configHash(genesis, crypto))}`];
};

/** Each has an embedded bus of its own and a database that is not there: they share nothing but libp2p. */
export const startValidator = (
  place: ValidatorPlace,
  name: ValidatorName,
  genesis: readonly string[],
): Running => {
  const at = (port: number): string => `/ip4/127.0.0.1/tcp/${port}`;
  const set = [
    `node.name=${name}`,
    `node.dataDir=${dataOf(place, name)}`,
    'bus={ driver: embedded }',
    'database.url=postgres://nobody@127.0.0.1:1/none?sslmode=disable',
    `api.port=${place.api[name]}`,
    `validator.with.name=${name}`,
    `validator.with.key=${path.join(place.folder, 'keys', `${name}.pem`)}`,
    `validator.with.listen=${at(place.listen[name])}`,
    ...VALIDATORS.map((peer) => `validator.with.peers.${peer}=${at(place.listen[peer])}`),
    ...genesis,
  ];
  const args = set.flatMap((one) => ['--set', one]);
  return launchCybermesh(['start', 'config/validator.yaml', ...args], { timeoutMs: 280_000 });
};

/** Puts a signed anomaly on the bus of a validator that does not run: it finds it at its start. */
export const leaveAnomaly = async (
  place: ValidatorPlace,
  name: ValidatorName,
  value: Uint8Array,
): Promise<void> => {
  const folder = path.join(dataOf(place, name), 'bus');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const bus = openEmbedded({
    file: path.join(folder, 'bus.sqlite'),
    topics: Object.values(TOPICS),
    partitions: 3,
    recordBytesMax: (1 << 20) + 4096,
    topicBytesMax: 1 << 30,
    now: Date.now,
    failed: (reason) => {
      throw new Error(reason);
    },
    recovered: () => undefined,
  });
  const [outcome] = await bus.publish([
    { topic: TOPICS.anomalies, key: 'test', value, headers: {} },
  ]);
  await bus.close();
  if (outcome?.outcome !== 'ok') throw new Error(`not published: ${outcome?.outcome}`);
};

export type ReplicaStatus = { readonly height: number; readonly genesis: string };

/** What its API says of its replica; undefined where nothing answers. */
export const replicaStatus = async (
  place: ValidatorPlace,
  name: ValidatorName,
): Promise<ReplicaStatus | undefined> => {
  try {
    const url = `http://127.0.0.1:${place.api[name]}/api/v1/consensus/overview`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(2000) });
    const view = (await answer.json()) as { readonly replicas?: readonly ReplicaStatus[] };
    return view.replicas?.[0];
  } catch {
    return undefined;
  }
};

/** What `node runtime status` prints of it. */
export const statusText = async (place: ValidatorPlace, name: ValidatorName): Promise<string> =>
  (await cybermesh(['status', '--data', dataOf(place, name)])).stdout;
