/**
 * What stands in the replicated state: keys and values. Values are canonical JSON (proto/json.ts) of integers and
 * text, so that a reader without our code can follow a Merkle proof to its meaning. Times are Unix milliseconds.
 *
 *   anomalies/<id>   evidence/<id>   policies/<id>   active/<target>/<action>   offences/<target>/<action>
 *   validators/<id>   producers/<public key>   nonces/<minute>/<producer>/<nonce>   params   totals
 */
import { fromUtf8, utf8 } from './bytes.ts';
import type { Genesis } from './genesis.ts';
import { canonicalJson } from './json.ts';

/** A key that knows what stands under it. */
export type StateKey<T> = string & { readonly _value?: T };

export type AnomalyState = {
  /** SHA-256 of the payload, hex. */
  readonly contentHash: string;
  /** Public key of the detector, hex. */
  readonly producer: string;
  readonly type: string;
  /** 1..10. */
  readonly severity: number;
  /** Parts per million. */
  readonly confidencePpm: number;
  readonly tsMs: number;
  readonly height: number;
  /** Header time of the block. */
  readonly committedMs: number;
  /** The policy derived from it, or ''. */
  readonly policy: string;
  /** Why it derived none, or ''. */
  readonly suppressed: string;
};

export type EvidenceState = {
  readonly contentHash: string;
  readonly producer: string;
  /** The message's evidence_type, or 'misbehaviour'. */
  readonly type: string;
  readonly refs: number;
  readonly height: number;
  readonly committedMs: number;
};

export type PolicyState = {
  /** 'removed' is the tombstone of a policy: it stays until the policy would have expired. */
  readonly status: 'active' | 'removed';
  /** The rule_data of WIRE.md, byte for byte, as text. */
  readonly rule: string;
  /** SHA-256 of `rule`, hex. */
  readonly ruleHash: string;
  readonly action: string;
  /** Names the target in keys: an address where the rule names just one, see `targetText`. */
  readonly target: string;
  /** Addresses and networks, as in the rule, sorted. */
  readonly targets: readonly string[];
  /** Which offence of the target this answers, from 1; 0 for an operator's policy. */
  readonly offence: number;
  /** Of the block that wrote this value. */
  readonly height: number;
  readonly committedMs: number;
  /** Absolute; an agent applies only what is left. */
  readonly expiresMs: number;
  /** The anomaly that it answers, or ''. */
  readonly anomaly: string;
  /** Public key of the producer of the anomaly or the policy, hex. */
  readonly producer: string;
};

export type ActiveState = { readonly policy: string; readonly expiresMs: number };
export type OffenceState = { readonly count: number; readonly lastMs: number };

export type ValidatorState = {
  readonly name: string;
  readonly publicKey: string;
  readonly weight: number;
  readonly reputation: number;
  /** Blocks of this validator in the chain up to here. */
  readonly proposed: number;
  /** Those among them that have a successor in the chain: final wherever this state is. */
  readonly committed: number;
};

export type ProducerState = {
  readonly name: string;
  readonly role: string;
  readonly quotaPerMinute: number;
  readonly lastTsMs: number;
  readonly count: number;
};

/** The rules of the chain as the state proves them. */
export type ParamsState = {
  readonly chainId: string;
  readonly parameters: Genesis['parameters'];
  readonly neverBlock: readonly string[];
};

export type TotalsState = {
  readonly anomalies: number;
  readonly evidence: number;
  readonly policies: number;
  /** Policies in force. */
  readonly active: number;
  /** Minute of header time (Unix time / 60,000) and the policies that it brought so far. */
  readonly minute: number;
  readonly inMinute: number;
};

/** Content hash, hex. */
export type NonceState = string;

export const anomalyKey = (id: string): StateKey<AnomalyState> => `anomalies/${id}`;
export const evidenceKey = (id: string): StateKey<EvidenceState> => `evidence/${id}`;
export const policyKey = (id: string): StateKey<PolicyState> => `policies/${id}`;
export const activeKey = (target: string, action: string): StateKey<ActiveState> =>
  `active/${target}/${action}`;
export const offenceKey = (target: string, action: string): StateKey<OffenceState> =>
  `offences/${target}/${action}`;
export const validatorKey = (id: string): StateKey<ValidatorState> => `validators/${id}`;
export const producerKey = (publicKey: string): StateKey<ProducerState> => `producers/${publicKey}`;
export const nonceStateKey = (
  minute: number,
  producer: string,
  nonce: string,
): StateKey<NonceState> => `nonces/${minute}/${producer}/${nonce}`;
export const PARAMS_KEY: StateKey<ParamsState> = 'params';
export const TOTALS_KEY: StateKey<TotalsState> = 'totals';

export const MINUTE_MS = 60_000;
export const minuteOf = (ms: number): number => Math.floor(ms / MINUTE_MS);

export const encodeState = <T>(value: T): Uint8Array => utf8(canonicalJson(value));

/** For values that a verified proof or our own tree vouches for: throws on anything that is no JSON. */
export const decodeState = <T>(_key: StateKey<T>, bytes: Uint8Array): T => {
  const text = fromUtf8(bytes);
  if (text === undefined) throw new Error('a state value that is not UTF-8');
  return JSON.parse(text) as T;
};
