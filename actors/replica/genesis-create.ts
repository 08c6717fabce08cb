/**
 * What `start` needs before the system: the pinned genesis and the keys. With `genesis.create` they are made
 * under dataDir at the first start; that is for one process on loopback. Else they are read and compared.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join } from 'node:path';
import { crypto, readPrivateKey, writeKeyPair } from '#native/crypto.ts';
import { writeWhole } from '#native/disk.ts';
import { hex } from '#proto/bytes.ts';
import type { KeyPair } from '#proto/crypto.ts';
import {
  configHash,
  defaultNeverBlock,
  defaultParameters,
  encodeGenesis,
  type Genesis,
  type ProducerRole,
  parseGenesis,
  pinnedGenesis,
} from '#proto/genesis.ts';
import { err, ok, type Result } from '#proto/result.ts';
import type { Prepared } from '#runtime/cli/command.ts';
import { actorsOf, type TopologyView } from '#runtime/topology/view.ts';
import type { ReplicaConfig } from './config.ts';

/** Messages a minute that validators take from a producer: the rate limit of a detector is 100 a second. */
export const QUOTA_PER_MINUTE = 12_000;
const LOOPBACK = /^\/ip4\/127\.|^\/ip6\/::1\//;

/** File of a key by its name in a configuration. */
export const keyFile = (dataDir: string, key: string): string =>
  isAbsolute(key) ? key : join(dataDir, 'keys', key);

/** Where the hash of a genesis file that was made here is pinned. */
export const pinFile = (genesisFile: string): string => `${genesisFile}.sha256`;

/** The key pair in that file under <dataDir>/keys; it is made where there is none. */
export const keyOf = (dataDir: string, key: string): KeyPair => {
  const file = keyFile(dataDir, key);
  if (existsSync(file)) return readPrivateKey(file);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  return writeKeyPair(file);
};

type Producer = { readonly name: string; readonly role: ProducerRole; readonly key: string };

const keyConfig = (view: TopologyView, actor: string, otherwise: string): string => {
  const [one] = actorsOf(view, actor);
  const { key } = (one?.config ?? {}) as { readonly key?: string };
  return key ?? otherwise;
};

const producersOf = (view: TopologyView): readonly Producer[] => [
  { name: 'detector', role: 'detector', key: keyConfig(view, 'signer', 'detector.pem') },
  { name: 'enforcer', role: 'enforcer', key: keyConfig(view, 'enforcer', 'enforcer.pem') },
  { name: 'operator', role: 'operator', key: 'operator.pem' },
];

const replicasOf = (view: TopologyView): readonly ReplicaConfig[] =>
  actorsOf(view, 'replica').map((one) => one.config as ReplicaConfig);

const makeGenesis = (view: TopologyView): Genesis => {
  const { dataDir } = view.node;
  const publicKey = (key: string): string => hex(keyOf(dataDir, key).publicKey);
  return {
    chainId: view.node.name,
    timeMs: Date.now(),
    validators: replicasOf(view).map(({ name, key }) => ({
      name,
      publicKey: publicKey(key),
      weight: 1,
    })),
    producers: producersOf(view).map(({ name, role, key }) => ({
      name,
      role,
      publicKey: publicKey(key),
      quotaPerMinute: QUOTA_PER_MINUTE,
    })),
    parameters: defaultParameters,
    neverBlock: [...defaultNeverBlock],
  };
};

const create = (view: TopologyView): Result<Prepared, string> => {
  const foreign = replicasOf(view).find(({ listen }) => !LOOPBACK.test(listen));
  if (foreign !== undefined) {
    const place = `validator ${foreign.name} listens on ${foreign.listen}`;
    return err(`genesis.create is for loopback only, and ${place}: give genesis.file and .sha256`);
  }
  const { file } = view.genesis;
  if (existsSync(file) !== existsSync(pinFile(file))) {
    const missing = existsSync(file) ? pinFile(file) : file;
    return err(
      `${missing} is missing beside its twin: restore it, or remove the whole data folder`,
    );
  }
  if (!existsSync(file)) {
    const genesis = makeGenesis(view);
    writeWhole(file, encodeGenesis(genesis));
    writeWhole(pinFile(file), `${hex(configHash(genesis, crypto))}\n`);
  }
  return check(view, file, readFileSync(pinFile(file), 'utf8').trim());
};

/** Every validator of this node must be in the genesis, by its name and with its key. */
const memberProblem = (view: TopologyView, genesis: Genesis): string | undefined => {
  for (const { name, key } of replicasOf(view)) {
    const member = genesis.validators.find((one) => one.name === name);
    if (member === undefined) return `it has no validator ${name}`;
    const file = keyFile(view.node.dataDir, key);
    if (hex(readPrivateKey(file).publicKey) !== member.publicKey) {
      return `${file} is not the key that it has for validator ${name}`;
    }
  }
  return undefined;
};

const check = (view: TopologyView, file: string, sha256: string): Result<Prepared, string> => {
  const genesis = pinnedGenesis(readFileSync(file), sha256, crypto);
  if (!genesis.ok) return err(`genesis file ${file}: ${genesis.error}`);
  const problem = memberProblem(view, genesis.value);
  return problem === undefined
    ? ok({ genesis: { file, sha256 } })
    : err(`genesis file ${file}: ${problem}`);
};

/** The hook of `start`. Errors name the file and the remedy. */
export const prepareGenesis = (view: TopologyView): Result<Prepared, string> => {
  try {
    if (view.genesis.create) return create(view);
    const { file, sha256 } = view.genesis;
    if (!existsSync(file)) return err(`genesis file ${file} does not exist`);
    if (sha256 === '') return err('genesis.sha256 is not set: pin the configuration hash');
    return check(view, file, sha256);
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
};

/** Reads a genesis file without a pin, for commands that show or make one. */
export const readGenesisFile = (file: string): Result<Genesis, string> => {
  try {
    return parseGenesis(readFileSync(file));
  } catch {
    return err(`genesis file ${file} cannot be read`);
  }
};
