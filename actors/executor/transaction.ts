/**
 * One transaction against the state of its branch. An error says why the transaction must not stand in a block; a
 * receipt says what became of one that may.
 */
import { hex } from '#proto/bytes.ts';
import type { Receipt } from '#proto/consensus/committed.ts';
import {
  decodeEvidence,
  evidenceId,
  offenceView,
  verifyEvidence,
} from '#proto/consensus/evidence.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { Transaction } from '#proto/consensus/transaction.ts';
import { err, ok, type Result, unreachable } from '#proto/result.ts';
import { anomalyKey, evidenceKey, producerKey, TOTALS_KEY, validatorKey } from '#proto/state.ts';
import { AI_TOPICS } from '#proto/wire/topics.ts';
import type { VerifiedMessage } from '#proto/wire/verification.ts';
import { nonceUse, useNonce } from './nonce-memory.ts';
import { policyFromAnomaly, policyFromOperator } from './policies.ts';
import type { Rules } from './rules.ts';
import { must, read, type Scratch, write } from './scratch.ts';
import type { Branch } from './version.ts';

/** Where in the chain a transaction is executed. */
export type Site = {
  readonly rules: Rules;
  readonly branch: Branch;
  readonly pad: Scratch;
  readonly height: number;
  /** Header time, the only clock. */
  readonly timeMs: number;
  /** Signatures that this very validator has verified need no second look. */
  readonly verified: (txId: HashHex) => boolean;
};

type Applied = Result<Receipt, string>;
export type Item = { readonly tx: Transaction; readonly txId: HashHex };

const receipt = (
  txId: HashHex,
  id: string,
  status: Receipt['status'] = 'applied',
  policyId = '',
  suppressed = '',
): Receipt => ({ txId, id, status, policyId, suppressed });

/** Writes what the transaction does into the scratch's pending writes; the caller accepts or rejects them. */
export const applyTransaction = (site: Site, item: Item): Applied => {
  const { kind, bytes } = item.tx;
  if (kind === 'misbehaviour') return misbehaviour(site, item);
  const { rules, timeMs } = site;
  const crypto = site.verified(item.txId)
    ? { sha256: rules.crypto.sha256, verify: () => true }
    : rules.crypto;
  const result = rules.verify(AI_TOPICS[kind], bytes, {
    crypto,
    nowMs: timeMs,
    timeSkewMs: rules.parameters.blockTimeSkewMs,
    roleOf: rules.roles.roleOf,
    detectorsMayPropose: rules.parameters.detectorsMayPropose,
    nonceSeen: () => undefined,
    contentKnown: () => false,
  });
  if (!result.ok) return err(result.error.code);
  return message(site, item.txId, result.value);
};

const message = (site: Site, txId: HashHex, verified: VerifiedMessage): Applied => {
  const { pad, branch, timeMs } = site;
  const { id, ts } = verified.message;
  const producer = hex(verified.message.producerId);
  const nonce = hex(verified.message.nonce);
  const contentHash = hex(verified.message.contentHash);
  const used = nonceUse(pad, branch, timeMs, producer, nonce);
  if (used !== undefined) {
    return used === contentHash ? ok(receipt(txId, id, 'replayed')) : err('nonce-conflict');
  }
  useNonce(pad, timeMs, producer, nonce, contentHash);
  countProducer(pad, producer, ts * 1000);
  switch (verified.kind) {
    case 'anomaly':
      return anomaly(site, txId, verified);
    case 'evidence':
      return evidence(site, txId, verified);
    case 'policy': {
      const policyId = policyFromOperator(site, verified);
      return policyId.ok ? ok(receipt(txId, id, 'applied', policyId.value)) : policyId;
    }
    default:
      return unreachable(verified);
  }
};

const countProducer = (pad: Scratch, producer: string, tsMs: number): void => {
  const key = producerKey(producer);
  const state = must(pad, key);
  write(pad, key, {
    ...state,
    lastTsMs: Math.max(state.lastTsMs, tsMs),
    count: state.count + 1,
  });
};

type Of<K extends VerifiedMessage['kind']> = Extract<VerifiedMessage, { kind: K }>;
const PPM = 1_000_000;

const anomaly = (site: Site, txId: HashHex, verified: Of<'anomaly'>): Applied => {
  const { pad, height, timeMs } = site;
  const event = verified.message;
  const key = anomalyKey(event.id);
  if (read(pad, key) !== null) {
    pad.pending.clear(); // a known content under a new nonce is skipped, the nonce with it
    return ok(receipt(txId, event.id, 'duplicate'));
  }
  const derived = policyFromAnomaly(site, verified);
  const policy = derived.ok ? derived.value : '';
  const suppressed = derived.ok ? '' : derived.error;
  write(pad, key, {
    contentHash: hex(event.contentHash),
    producer: hex(event.producerId),
    type: event.type,
    severity: event.severity,
    confidencePpm: Math.round(event.confidence * PPM),
    tsMs: event.ts * 1000,
    height,
    committedMs: timeMs,
    policy,
    suppressed,
  });
  const totals = must(pad, TOTALS_KEY);
  write(pad, TOTALS_KEY, { ...totals, anomalies: totals.anomalies + 1 });
  return ok(receipt(txId, event.id, 'applied', policy, suppressed));
};

const evidence = (site: Site, txId: HashHex, verified: Of<'evidence'>): Applied => {
  const { pad, height, timeMs } = site;
  const event = verified.message;
  const key = evidenceKey(event.id);
  if (read(pad, key) !== null) {
    pad.pending.clear();
    return ok(receipt(txId, event.id, 'duplicate'));
  }
  write(pad, key, {
    contentHash: hex(event.contentHash),
    producer: hex(event.producerId),
    type: event.evidenceType,
    refs: event.refs.length,
    height,
    committedMs: timeMs,
  });
  countEvidence(pad);
  return ok(receipt(txId, event.id));
};

const countEvidence = (pad: Scratch): void => {
  const totals = must(pad, TOTALS_KEY);
  write(pad, TOTALS_KEY, { ...totals, evidence: totals.evidence + 1 });
};

/** One conviction for a signer, kind and view: the same deed can be proven by many pairs of messages. */
const misbehaviour = (site: Site, { tx, txId }: Item): Applied => {
  const { pad, rules, height, timeMs } = site;
  const decoded = decodeEvidence(tx.bytes);
  if (!decoded.ok) return err(`misbehaviour-${decoded.error}`);
  const proof = decoded.value;
  const { committee, crypto, parameters } = rules;
  const convicted = verifyEvidence(proof, { committee, crypto });
  if (!convicted.ok) return err(`misbehaviour-${convicted.error}`);
  const id = `${proof.kind}-${convicted.value.slice(0, 16)}-${offenceView(proof)}`;
  const key = evidenceKey(id);
  if (read(pad, key) !== null) return ok(receipt(txId, id, 'duplicate'));
  const validator = must(pad, validatorKey(convicted.value));
  write(pad, validatorKey(convicted.value), {
    ...validator,
    reputation: Math.max(0, validator.reputation - parameters.misbehaviourCost),
  });
  write(pad, key, {
    contentHash: evidenceId(proof, crypto),
    producer: validator.publicKey,
    type: 'misbehaviour',
    refs: 0,
    height,
    committedMs: timeMs,
  });
  countEvidence(pad);
  return ok(receipt(txId, id));
};
