/** Acknowledgements: what is said of a policy, and the outbox that holds them until the bus has them. */
import { fromHex, utf8 } from '#proto/bytes.ts';
import type { Crypto, KeyPair } from '#proto/crypto.ts';
import { uuidOf } from '#proto/wire/ai-signature.ts';
import { signControl } from '#proto/wire/control.ts';
import type { Refusal } from './belief.ts';
import type { Entry } from './registry.ts';

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
/** Places of acks that are gone, before they are given up. */
const KEPT_MAX = 1024;

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
export type Outbox = {
  /** Those before `next` are gone. */
  waiting: Ack[];
  next: number;
  readonly sent: Map<string, Ack>;
  /** Policies of which one is on its way. */
  readonly busy: Set<string>;
};

export const newOutbox = (acks: readonly Ack[]): Outbox => ({
  waiting: [...acks],
  next: 0,
  sent: new Map(),
  busy: new Set(),
});

export const addAcks = (outbox: Outbox, acks: readonly Ack[]): void => {
  for (const ack of acks) outbox.waiting.push(ack);
};

/** Takes the next acks that may go, at most so many that `openMax` are on their way. */
export const nextToSend = (outbox: Outbox, openMax: number): readonly Ack[] => {
  const { sent, busy } = outbox;
  const next: Ack[] = [];
  const passed: Ack[] = [];
  for (; outbox.next < outbox.waiting.length && sent.size < openMax; outbox.next++) {
    const ack = outbox.waiting[outbox.next]!;
    if (busy.has(ack.policyId)) {
      passed.push(ack);
      continue;
    }
    sent.set(ack.id, ack);
    busy.add(ack.policyId);
    next.push(ack);
  }
  putBack(outbox, passed);
  return next;
};

/** Before everything that waits, in this order. */
const putBack = (outbox: Outbox, acks: readonly Ack[]): void => {
  const { waiting, next } = outbox;
  // Room is given up in large pieces: an outbox of many thousands is not moved for each that goes.
  if (acks.length <= next) {
    outbox.next -= acks.length;
    for (const [k, ack] of acks.entries()) waiting[outbox.next + k] = ack;
  } else {
    outbox.waiting = [...acks, ...waiting.slice(next)];
    outbox.next = 0;
  }
  if (outbox.next > KEPT_MAX && outbox.next * 2 > outbox.waiting.length) {
    outbox.waiting = outbox.waiting.slice(outbox.next);
    outbox.next = 0;
  }
};

/** Of one that was on its way: it has arrived, or (`again`) goes first among those that wait. */
export const returned = (outbox: Outbox, id: string, again: boolean): Ack | undefined => {
  const ack = outbox.sent.get(id);
  if (ack === undefined) return undefined;
  outbox.sent.delete(id);
  outbox.busy.delete(ack.policyId);
  if (again) putBack(outbox, [ack]);
  return ack;
};

export const pendingAcks = ({ waiting, next, sent }: Outbox): number =>
  waiting.length - next + sent.size;
