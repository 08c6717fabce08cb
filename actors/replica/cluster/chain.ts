/** Keys and the genesis of a cluster, made at its first start in one folder: for one machine and for trying out. */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { crypto } from '#native/crypto.ts';
import { writeWhole } from '#native/disk.ts';
import { hex } from '#proto/bytes.ts';
import {
  configHash,
  defaultNeverBlock,
  defaultParameters,
  encodeGenesis,
  type Genesis,
  type ProducerRole,
  pinnedGenesis,
} from '#proto/genesis.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { keyOf, pinFile, QUOTA_PER_MINUTE } from '../genesis-create.ts';
import { VALIDATORS } from './plan.ts';

/** Each process has its own key in its own folder, and no other. */
const publicKey = (folder: string, member: string, key: string): string =>
  hex(keyOf(path.join(folder, member), key).publicKey);

const genesisOf = (folder: string): Genesis => {
  const producer = (role: ProducerRole, member: string) => ({
    name: role,
    role,
    publicKey: publicKey(folder, member, `${role}.pem`),
    quotaPerMinute: QUOTA_PER_MINUTE,
  });
  return {
    chainId: 'cluster',
    timeMs: Date.now(),
    validators: VALIDATORS.map((name) => ({
      name,
      publicKey: publicKey(folder, name, 'validator.pem'),
      weight: 1,
    })),
    producers: [
      producer('detector', 'detector'),
      producer('enforcer', 'enforcer'),
      producer('operator', 'operator'),
    ],
    parameters: defaultParameters,
    neverBlock: [...defaultNeverBlock],
  };
};

/** The genesis file and its hash; both are made, with every key, where they are not there yet. */
export const prepareChain = (
  folder: string,
): Result<{ readonly file: string; readonly sha256: string }, string> => {
  const file = path.join(folder, 'genesis.json');
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    if (!existsSync(file)) {
      const genesis = genesisOf(folder);
      writeWhole(pinFile(file), `${hex(configHash(genesis, crypto))}\n`);
      writeWhole(file, encodeGenesis(genesis));
    }
    const sha256 = readFileSync(pinFile(file), 'utf8').trim();
    const pinned = pinnedGenesis(readFileSync(file), sha256, crypto);
    return pinned.ok ? ok({ file, sha256 }) : err(`genesis file ${file}: ${pinned.error}`);
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
};
