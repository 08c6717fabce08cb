/** `keygen`, `genesis`, `verify` and `cluster`; and what `start` prepares for a validator. */
import { readFileSync, writeFileSync } from 'node:fs';
import { crypto, readPrivateKey, writeKeyPair } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { provenPolicy, verifyCommitProof } from '#proto/commit-proof.ts';
import {
  checkGenesis,
  configHash,
  defaultNeverBlock,
  defaultParameters,
  encodeGenesis,
  genesisCommittee,
  producerRoles,
} from '#proto/genesis.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { roleBook } from '#proto/roles.ts';
import { verifyControl } from '#proto/wire/control.ts';
import { readArguments } from '#runtime/cli/arguments.ts';
import { type CliIo, type CliModule, type Command, EXIT } from '#runtime/cli/command.ts';
import { command as cluster } from './cluster/command.ts';
import { prepareGenesis, readGenesisFile } from './genesis-create.ts';

const usageFault = (io: CliIo, command: Command, reason: string): number => {
  io.err(`error: ${reason}\nUsage: node runtime ${command.usage}`);
  return EXIT.usage;
};
const failure = (io: CliIo, reason: string): number => {
  if (io.json) io.out(JSON.stringify({ ok: false, error: reason }));
  else io.err(`error: ${reason}`);
  return EXIT.failure;
};
const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const keygen: Command = {
  summary: 'make an Ed25519 key pair, or show the public key of one',
  usage: `keygen <file.pem> [--show]

Writes the private key (PKCS#8 PEM, mode 0600) and the public key beside it (file.pub.pem). An existing file is
never overwritten. --show prints the public key and the validator id of an existing file.`,
  run: async (args, io) => {
    const parsed = readArguments(args, { show: { type: 'boolean' } }, ['the key file']);
    if (!parsed.ok) return usageFault(io, keygen, parsed.error);
    const [file] = parsed.value.positionals;
    try {
      const { publicKey } = parsed.value.options.show ? readPrivateKey(file!) : writeKeyPair(file!);
      const shown = { file, publicKey: hex(publicKey), id: hex(crypto.sha256(publicKey)) };
      if (io.json) io.out(JSON.stringify(shown));
      else io.out(`file        ${file}\npublic key  ${shown.publicKey}\nid          ${shown.id}`);
      return EXIT.ok;
    } catch (error) {
      return failure(io, textOf(error));
    }
  },
};

/** `name=hex[:weight]` of a validator. */
const memberOf = (
  text: string,
): Result<{ name: string; publicKey: string; weight: number }, string> => {
  const match = /^([^=]+)=([0-9a-f]{64})(?::(\d+))?$/.exec(text);
  if (match === null) return err(`--validator ${text}: expected name=<64 hex digits>[:weight]`);
  return ok({ name: match[1]!, publicKey: match[2]!, weight: Number(match[3] ?? 1) });
};

const DEFAULT_QUOTA = 12_000;
/** `role:name=hex[:quota]` of a producer. */
const producerOf = (text: string) => {
  const match = /^(\w+):([^=]+)=([0-9a-f]{64})(?::(\d+))?$/.exec(text);
  const role = producerRoles.find((one) => one === match?.[1]);
  if (match === null || role === undefined) {
    const roles = producerRoles.join('|');
    return err(`--producer ${text}: expected <${roles}>:name=<64 hex digits>[:messages a minute]`);
  }
  const quotaPerMinute = Number(match[4] ?? DEFAULT_QUOTA);
  return ok({ name: match[2]!, publicKey: match[3]!, role, quotaPerMinute });
};

/** All values or the first error. */
const allOk = <T>(results: readonly Result<T, string>[]): Result<T[], string> => {
  const values: T[] = [];
  for (const result of results) {
    if (!result.ok) return result;
    values.push(result.value);
  }
  return ok(values);
};

const GENESIS_OPTIONS = {
  chain: { type: 'string' },
  validator: { type: 'string', multiple: true },
  producer: { type: 'string', multiple: true },
  out: { type: 'string' },
} as const;

const showGenesis = (io: CliIo, file: string): number => {
  const read = readGenesisFile(file);
  if (!read.ok) return failure(io, read.error);
  const { chainId, validators, producers } = read.value;
  const sha256 = hex(configHash(read.value, crypto));
  const shown = {
    file,
    chainId,
    sha256,
    validators: validators.length,
    producers: producers.length,
  };
  if (io.json) io.out(JSON.stringify(shown));
  else
    io.out(
      Object.entries(shown)
        .map(([key, value]) => `${key.padEnd(11)} ${value}`)
        .join('\n'),
    );
  return EXIT.ok;
};

const genesis: Command = {
  summary: 'make a genesis file from public keys, or show the hash of one',
  usage: `genesis <file>
genesis --chain <id> --validator <name=key[:weight]> ... --producer <role:name=key[:quota]> ... --out <file>

Prints the configuration hash (SHA-256) that every node pins as genesis.sha256.`,
  run: async (args, io) => {
    const parsed = readArguments(args, GENESIS_OPTIONS, [], 1);
    if (!parsed.ok) return usageFault(io, genesis, parsed.error);
    const { options, positionals } = parsed.value;
    if (positionals[0] !== undefined) return showGenesis(io, positionals[0]);
    const { chain, out } = options;
    if (chain === undefined || out === undefined) {
      return usageFault(io, genesis, 'give a file to show, or --chain, --validator and --out');
    }
    const validators = allOk((options.validator ?? []).map(memberOf));
    if (!validators.ok) return usageFault(io, genesis, validators.error);
    const producers = allOk((options.producer ?? []).map(producerOf));
    if (!producers.ok) return usageFault(io, genesis, producers.error);
    const made = checkGenesis({
      chainId: chain,
      timeMs: Date.now(),
      validators: validators.value,
      producers: producers.value,
      parameters: defaultParameters,
      neverBlock: [...defaultNeverBlock],
    });
    if (!made.ok) return failure(io, made.error);
    try {
      writeFileSync(out, encodeGenesis(made.value), { flag: 'wx' });
    } catch (error) {
      return failure(io, `${out} is not written: ${textOf(error)}`);
    }
    return showGenesis(io, out);
  },
};

const verify: Command = {
  summary: 'check a policy message and its proof offline, against a genesis file',
  usage: `verify <policy file> --genesis <file> [--sha256 <hash>]

The policy file holds the bytes of one PolicyUpdateEvent. Nothing but the genesis file is trusted; with --sha256
it has to have that configuration hash.`,
  run: async (args, io) => {
    const kinds = { genesis: { type: 'string' }, sha256: { type: 'string' } } as const;
    const parsed = readArguments(args, kinds, ['the policy file']);
    if (!parsed.ok) return usageFault(io, verify, parsed.error);
    const { options, positionals } = parsed.value;
    if (options.genesis === undefined) return usageFault(io, verify, '--genesis is missing');
    const read = readGenesisFile(options.genesis);
    if (!read.ok) return failure(io, read.error);
    const hash = hex(configHash(read.value, crypto));
    if (options.sha256 !== undefined && options.sha256.toLowerCase() !== hash) {
      return failure(io, `genesis file ${options.genesis}: hash is ${hash}, not ${options.sha256}`);
    }
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(readFileSync(positionals[0]!));
    } catch (error) {
      return failure(io, `policy file ${positionals[0]}: ${textOf(error)}`);
    }
    const { roleOf } = roleBook(read.value);
    const event = verifyControl('policy-update', bytes, { crypto, roleOf });
    if (!event.ok) return failure(io, `not valid: ${event.error.code} (${event.error.detail})`);
    const trust = { committee: genesisCommittee(read.value, crypto), crypto };
    const proven = verifyCommitProof(event.value.commitProof, trust, event.value);
    if (!proven.ok) return failure(io, `not proven: ${proven.error}`);
    const { status, action, targets, expiresMs } = provenPolicy(proven.value);
    const { height } = proven.value;
    const shown = { policyId: event.value.policyId, status, action, targets, height, expiresMs };
    if (io.json) io.out(JSON.stringify({ ok: true, ...shown }));
    else {
      const until = new Date(expiresMs).toISOString();
      const what = `${action} ${targets.join(', ')}, ${status} until ${until}`;
      io.out(`proven at height ${height}: policy ${shown.policyId}: ${what}`);
    }
    return EXIT.ok;
  },
};

export const commands: NonNullable<CliModule['commands']> = { keygen, genesis, verify, cluster };
export const prepare: NonNullable<CliModule['prepare']> = async (topology) =>
  prepareGenesis(topology);
