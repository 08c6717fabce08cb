/**
 * The genesis file: who validates, who may produce what, and the rules that every validator repeats. Its
 * configuration hash is the identity of a chain and the one thing that an enforcement agent pins: it holds no ports
 * and no paths, and does not depend on how the file is formatted.
 */
import { z } from 'zod';
import { fromHex, hex, utf8 } from './bytes.ts';
import { type Committee, committeeOf, VALIDATORS_MAX } from './consensus/committee.ts';
import type { Crypto } from './crypto.ts';
import { canonicalJson, parseJson } from './json.ts';
import { err, ok, type Result } from './result.ts';

export const GENESIS_BYTES_MAX = 1024 * 1024;
/** The version of the state machine; another one is another chain until governance changes it. */
export const STATE_MACHINE_VERSION = 1;

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/)
  .describe('lower case letters, digits, dot, dash and underscore; 1..64');
const publicKey = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .describe('Ed25519 public key, 32 bytes as lower case hex');
const count = (max: number) => z.int().min(1).max(max);

export const producerRoles = ['detector', 'operator', 'enforcer'] as const;
export type ProducerRole = (typeof producerRoles)[number];

const validatorSchema = z.strictObject({
  name,
  publicKey,
  weight: count(1_000_000).describe('voting power, integer'),
});

const producerSchema = z.strictObject({
  name,
  publicKey,
  role: z.enum(producerRoles).describe('what kinds of messages its key may sign'),
  quotaPerMinute: count(10_000_000).describe('messages a minute that a validator takes from it'),
});

const parametersSchema = z.strictObject({
  stateMachine: z.literal(STATE_MACHINE_VERSION).describe('version of the state machine'),
  blockTxMax: count(5000).describe('transactions a block'),
  blockBytesMax: count(16 * 1024 * 1024).describe('bytes of all transactions of a block'),
  blockTimeSkewMs: count(3_600_000).describe('how far tx.ts may lie from the header time'),
  acceptanceSkewMs: count(60_000).describe(
    'how far a header may lie from the local clock to get a vote',
  ),
  nonceTtlMs: z
    .int()
    .min(600_000)
    .max(86_400_000)
    .describe(
      'how long nonces are remembered behind the header time; at least twice the time skew',
    ),
  anomalyTtlMs: count(366 * 86_400_000).describe(
    'how long an anomaly or evidence stays in the state',
  ),
  ladderMemoryMs: count(366 * 86_400_000).describe('how long an offence counts for the next TTL'),
  ttlLadderS: z
    .array(count(366 * 86_400))
    .min(1)
    .max(16)
    .describe('TTL of the first, second ... policy against a target; the last repeats'),
  minConfidencePpm: z.int().min(0).max(1_000_000).describe('anomalies below derive no policy'),
  maxPrefixV4: z.int().min(1).max(32).describe('the shortest IPv4 prefix that a policy may name'),
  maxPrefixV6: z.int().min(1).max(128).describe('the shortest IPv6 prefix that a policy may name'),
  activePoliciesMax: count(1_000_000).describe('policies in force at once'),
  policiesPerMinuteMax: count(100_000).describe('new policies in a minute of header time'),
  policyBytesMax: count(128 * 1024).describe('bytes of the rule of one policy'),
  detectorsMayPropose: z.boolean().describe('whether ai.policy.v1 is open to role detector'),
  reputationFirst: count(1_000_000).describe('reputation of a validator at genesis'),
  reputationMin: z.int().min(0).max(1_000_000).describe('below it a validator does not lead'),
  misbehaviourCost: count(1_000_000).describe('reputation lost by proven misbehaviour'),
});

export const genesisSchema = z.strictObject({
  chainId: name.describe('name of the chain; every signature of consensus binds it'),
  timeMs: z.int().min(0).describe('Unix milliseconds; every block is later'),
  validators: z.array(validatorSchema).min(1).max(VALIDATORS_MAX),
  producers: z.array(producerSchema).max(4096),
  parameters: parametersSchema,
  neverBlock: z
    .array(z.union([z.cidrv4(), z.cidrv6()]))
    .max(4096)
    .describe('networks that no policy may touch'),
});

export type Genesis = z.output<typeof genesisSchema>;
export type GenesisParameters = Genesis['parameters'];
export type GenesisProducer = Genesis['producers'][number];

export const defaultParameters: GenesisParameters = {
  stateMachine: STATE_MACHINE_VERSION,
  blockTxMax: 500,
  blockBytesMax: 8 * 1024 * 1024,
  blockTimeSkewMs: 300_000,
  acceptanceSkewMs: 5000,
  nonceTtlMs: 900_000,
  anomalyTtlMs: 30 * 86_400_000,
  ladderMemoryMs: 30 * 86_400_000,
  ttlLadderS: [600, 3600, 86_400, 604_800],
  minConfidencePpm: 700_000,
  maxPrefixV4: 24,
  maxPrefixV6: 64,
  activePoliciesMax: 10_000,
  policiesPerMinuteMax: 600,
  policyBytesMax: 64 * 1024,
  detectorsMayPropose: false,
  reputationFirst: 100,
  reputationMin: 50,
  misbehaviourCost: 50,
};

/** Addresses that no network may lose: this host, link-local, multicast, broadcast, unspecified. */
export const defaultNeverBlock: readonly string[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/4',
  '255.255.255.255/32',
  '::/128',
  '::1/128',
  'fe80::/10',
  'ff00::/8',
];

const repeated = (values: readonly string[]): string | undefined =>
  values.find((value, index) => values.indexOf(value) !== index);

/** What the shape of single fields cannot say; undefined where all is well. */
const contradiction = (genesis: Genesis): string | undefined => {
  const { validators, producers, parameters } = genesis;
  const sameValidator = repeated(validators.map((one) => one.name));
  if (sameValidator !== undefined) return `validators: name ${sameValidator} stands twice`;
  const sameProducer = repeated(producers.map((one) => one.name));
  if (sameProducer !== undefined) return `producers: name ${sameProducer} stands twice`;
  const sameKey = repeated([...validators, ...producers].map((one) => one.publicKey));
  if (sameKey !== undefined) return `public key ${sameKey} stands twice`;
  if (parameters.nonceTtlMs < 2 * parameters.blockTimeSkewMs) {
    return 'parameters.nonceTtlMs is shorter than twice parameters.blockTimeSkewMs';
  }
  return undefined;
};

/** Checks data as the file holds it. The error names the field. */
export const checkGenesis = (data: unknown): Result<Genesis, string> => {
  const parsed = genesisSchema.safeParse(data);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return err(`${issue?.path.join('.') || 'genesis'}: ${issue?.message ?? 'not valid'}`);
  }
  const problem = contradiction(parsed.data);
  return problem === undefined ? ok(parsed.data) : err(problem);
};

export const parseGenesis = (bytes: Uint8Array): Result<Genesis, string> => {
  if (bytes.length > GENESIS_BYTES_MAX) return err(`more than ${GENESIS_BYTES_MAX} bytes`);
  const json = parseJson(bytes);
  return json.ok ? checkGenesis(json.value) : json;
};

/** Canonical JSON without a final newline, so that `sha256sum` of the file is the configuration hash. */
export const encodeGenesis = (genesis: Genesis): Uint8Array => utf8(canonicalJson(genesis));

/** SHA-256 of the canonical JSON: 32 bytes. The parent hash of the genesis header. */
export const configHash = (genesis: Genesis, crypto: Pick<Crypto, 'sha256'>): Uint8Array =>
  crypto.sha256(encodeGenesis(genesis));

/** Parses and compares with the pinned hash (hex). */
export const pinnedGenesis = (
  bytes: Uint8Array,
  pinnedSha256: string,
  crypto: Pick<Crypto, 'sha256'>,
): Result<Genesis, string> => {
  const genesis = parseGenesis(bytes);
  if (!genesis.ok) return genesis;
  const actual = hex(configHash(genesis.value, crypto));
  return actual === pinnedSha256.toLowerCase()
    ? genesis
    : err(`configuration hash is ${actual}, pinned is ${pinnedSha256}`);
};

/** The committee of epoch 0. */
export const genesisCommittee = (genesis: Genesis, crypto: Pick<Crypto, 'sha256'>): Committee =>
  committeeOf(
    genesis.chainId,
    0,
    genesis.validators.map((one) => ({ ...one, publicKey: fromHex(one.publicKey) })),
    crypto,
  );
