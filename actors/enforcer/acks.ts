/** Acknowledgements: what is said of a policy, and the outbox that holds them until the bus has them. */
import { fromHex, utf8 } from '#proto/bytes.ts';
import type { Crypto, KeyPair } from '#proto/crypto.ts';
import { uuidOf } from '#proto/wire/ai-signature.ts';
import { signControl } from '#proto/wire/control.ts';
import type { Entry } from './registry.ts';
import type { Refusal } from './verdict.ts';

/** One signed acknowledgement. `id` makes it idempotent: the same fact always has the same id. */
export type Ack = { readonly id: string; readonly policyId: string; readonly bytes: Uint8Array };

export type Signer = {
  readonly pair: KeyPair;
  readonly instance: string;
  readonly crypto: Crypto;
};

type Said = {
  readonly policyId: string;
  readonly result: 'applied' | 'failed';
  readonly reason: string;
  readonly errorCode: string;
  readonly appliedAtMs: number;
  readonly anchorHash: string;
  readonly ruleHash: string;
  readonly anomaly: string;
  /** See Entry. */
  readonly turn: number;
};

const MS_PER_S = 1000;
const TEXT_MAX = 256;
const HASH_BYTES = 32;

const ackOf = (said: Said, signer: Signer, atMs: number): Ack => {
  const { pair, instance, crypto } = signer;
  const { policyId, anchorHash, result, errorCode, turn } = said;
  const fact = [policyId, anchorHash, result, errorCode, instance, turn].join('|');
  const id = uuidOf(crypto.sha256(utf8(fact)));
  const bytes = signControl(
    'policy-ack',
    {
      policyId: said.policyId,
      scopeIdentifier: '',
      tenant: '',
      region: '',
      result: said.result,
      reason: said.reason.slice(0, TEXT_MAX),
      errorCode: said.errorCode,
      appliedAt: Math.floor(said.appliedAtMs / MS_PER_S),
      ackedAt: Math.floor(atMs / MS_PER_S),
      qcReference: said.anchorHash,
      controllerInstance: instance,
      fastPath: false,
      ruleHash: said.ruleHash === '' ? new Uint8Array(HASH_BYTES) : fromHex(said.ruleHash),
      producerId: pair.publicKey,
      appliedAtMs: said.appliedAtMs,
      ackedAtMs: atMs,
      traceId: '',
      sourceEventId: said.anomaly,
      sentinelEventId: '',
      ackEventId: id,
      requestId: '',
      commandId: '',
      workflowId: '',
    },
    pair.sign,
  );
  return { id, policyId: said.policyId, bytes };
};

export const ackApplied = (entry: Entry, signer: Signer, atMs: number): Ack =>
  ackOf(
    {
      policyId: entry.id,
      result: 'applied',
      reason: entry.reason,
      errorCode: '',
      appliedAtMs: entry.appliedAtMs,
      anchorHash: entry.anchorHash,
      ruleHash: entry.ruleHash,
      anomaly: entry.anomaly,
      turn: entry.turn,
    },
    signer,
    atMs,
  );

export const ackFailed = (
  refusal: Refusal & {
    readonly anomaly?: string;
    readonly anchorHash?: string;
    readonly turn?: number;
  },
  signer: Signer,
  atMs: number,
): Ack =>
  ackOf(
    {
      policyId: refusal.policyId,
      result: 'failed',
      reason: refusal.reason,
      errorCode: refusal.code,
      appliedAtMs: 0,
      anchorHash: refusal.anchorHash ?? '',
      ruleHash: refusal.ruleHash,
      anomaly: refusal.anomaly ?? '',
      turn: refusal.turn ?? 0,
    },
    signer,
    atMs,
  );

/** Acks wait here in order; one policy has one on its way at a time. */
export type Outbox = { readonly waiting: Ack[]; readonly sent: Map<string, Ack> };

export const newOutbox = (acks: readonly Ack[]): Outbox => ({
  waiting: [...acks],
  sent: new Map(),
});

/** Takes the next acks that may go, at most so many that `openMax` are on their way. */
export const nextToSend = (outbox: Outbox, openMax: number): readonly Ack[] => {
  const busy = new Set([...outbox.sent.values()].map((ack) => ack.policyId));
  const next: Ack[] = [];
  for (let k = 0; k < outbox.waiting.length && outbox.sent.size < openMax; ) {
    const ack = outbox.waiting[k]!;
    if (busy.has(ack.policyId)) {
      k++;
      continue;
    }
    outbox.waiting.splice(k, 1);
    outbox.sent.set(ack.id, ack);
    busy.add(ack.policyId);
    next.push(ack);
  }
  return next;
};

export const pendingAcks = (outbox: Outbox): number => outbox.waiting.length + outbox.sent.size;
