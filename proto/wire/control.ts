import { concat, EMPTY, equal, utf8 } from '../bytes.ts';
import type { Crypto, Sign, SignatureClaim } from '../crypto.ts';
import { ok, type Result } from '../result.ts';
import { decodeMessage, type Parsed, sizeProblem } from './codec.ts';
import { CONTROL_WIRES, type ControlMessage, controlSigningBytes } from './control-signature.ts';
import { type WireError, type WireErrorCode, wireError } from './errors.ts';
import type { Problem } from './structure.ts';
import { CONTROL_DOMAINS, type ControlKind, SIGNATURE_ALGORITHM } from './topics.ts';

/** Whose key it is: validators stand in the committee, the others among genesis' producers. */
export type KeyRole = 'validator' | 'detector' | 'operator' | 'enforcer';

/** Who may say what. */
export const CONTROL_ROLES: Readonly<Record<ControlKind, readonly KeyRole[]>> = {
  commit: ['validator'],
  'policy-update': ['validator'],
  'policy-ack': ['enforcer'],
  reputation: ['validator', 'operator'],
  'evidence-request': ['validator'],
};

export type UnsignedControl<K extends ControlKind> = Omit<
  ControlMessage<K>,
  'signature' | 'pubkey' | 'alg'
>;

/** The bytes to publish. `message.producerId` is the public key that belongs to `sign`. */
export const signControl = <K extends ControlKind>(
  kind: K,
  message: UnsignedControl<K>,
  sign: Sign,
): Uint8Array => {
  const { wire } = CONTROL_WIRES[kind];
  const bare = { ...wire.empty, ...message, signature: EMPTY, pubkey: EMPTY, alg: '' };
  const signature = sign(concat(utf8(CONTROL_DOMAINS[kind]), wire.encode(bare)));
  const pubkey = message.producerId;
  return wire.encode({ ...bare, signature, pubkey, alg: SIGNATURE_ALGORITHM });
};

/** Shape and limits only. */
export const decodeControl = <K extends ControlKind>(
  kind: K,
  bytes: Uint8Array,
): Result<ControlMessage<K>, WireError> => decodeMessage(CONTROL_WIRES[kind].wire, bytes);

/** What the signature of received bytes claims; undefined where the bytes are malformed. */
export const controlClaim = (kind: ControlKind, bytes: Uint8Array): SignatureClaim | undefined => {
  const message = controlSigningBytes(kind, bytes);
  if (!message.ok) return undefined;
  const { pubkey, signature } = CONTROL_WIRES[kind].wire.parse(bytes).message;
  return { publicKey: pubkey, message: message.value, signature };
};

export type ControlContext = {
  readonly crypto: Crypto;
  /** undefined for a key that nobody registered. */
  readonly roleOf: (publicKey: Uint8Array) => KeyRole | undefined;
};

type Subject = {
  readonly kind: ControlKind;
  readonly bytes: Uint8Array;
  readonly parsed: Parsed<ControlMessage<ControlKind>>;
  readonly structure: () => Problem;
  readonly limits: () => Problem;
  readonly context: ControlContext;
};

export type ControlCheck = {
  readonly name: string;
  readonly code: WireErrorCode;
  readonly problem: (subject: Subject) => Problem;
};

const when = (broken: boolean, problem: string): Problem => (broken ? problem : undefined);

/** In this order; the first that fails is what is reported. */
export const CONTROL_CHECKS: readonly ControlCheck[] = [
  { name: 'size', code: 'too-large', problem: ({ bytes }) => sizeProblem(bytes) },
  { name: 'parse', code: 'malformed', problem: ({ parsed }) => parsed.problem },
  {
    name: 'structure',
    code: 'bad-structure',
    problem: ({ structure }) => structure(),
  },
  {
    name: 'limits',
    code: 'too-large',
    problem: ({ limits }) => limits(),
  },
  {
    name: 'producer-key',
    code: 'producer-mismatch',
    problem: ({ parsed: { message } }) =>
      when(!equal(message.producerId, message.pubkey), 'producer_id is not pubkey'),
  },
  {
    name: 'signature',
    code: 'bad-signature',
    problem: ({ kind, bytes, parsed, context }) => {
      const signed = controlSigningBytes(kind, bytes);
      if (!signed.ok) return 'nothing to verify';
      const { pubkey, signature } = parsed.message;
      return when(!context.crypto.verify(pubkey, signed.value, signature), 'does not verify');
    },
  },
  {
    name: 'producer',
    code: 'unknown-producer',
    problem: ({ kind, parsed, context }) => {
      const role = context.roleOf(parsed.message.producerId);
      const allowed = role !== undefined && CONTROL_ROLES[kind].includes(role);
      return when(!allowed, `role ${role ?? 'none'} may not send a ${kind}`);
    },
  },
  {
    name: 'content-hash',
    code: 'content-hash',
    problem: ({ parsed: { message }, context }) => {
      if (!('ruleData' in message)) return undefined;
      const broken = !equal(context.crypto.sha256(message.ruleData), message.ruleHash);
      return when(broken, 'rule_hash is not the hash of rule_data');
    },
  },
];

/** Never throws on received bytes. A mutant is a verifier with a check left out. */
export const controlVerifier =
  (checks: readonly ControlCheck[] = CONTROL_CHECKS) =>
  <K extends ControlKind>(
    kind: K,
    bytes: Uint8Array,
    context: ControlContext,
  ): Result<ControlMessage<K>, WireError> => {
    const { wire } = CONTROL_WIRES[kind];
    let known: Parsed<ControlMessage<K>> | undefined;
    const parsed = (): Parsed<ControlMessage<K>> => {
      known ??= wire.parse(bytes);
      return known;
    };
    const subject: Subject = {
      kind,
      bytes,
      get parsed() {
        return parsed();
      },
      structure: () => wire.structure(parsed().message),
      limits: () => wire.limits(parsed().message),
      context,
    };
    for (const check of checks) {
      const problem = check.problem(subject);
      if (problem !== undefined) return wireError(check.code, problem);
    }
    return ok(parsed().message);
  };

export const verifyControl = controlVerifier();
