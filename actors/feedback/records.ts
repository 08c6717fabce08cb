/** What each record of the bus says to feedback, after its signature and its sender's role are checked. */
import { hex } from '#proto/bytes.ts';
import { messageId, signingBytes } from '#proto/wire/ai-signature.ts';
import { decodeAnomaly } from '#proto/wire/anomaly.ts';
import { verifyControl } from '#proto/wire/control.ts';
import type { ControlKind } from '#proto/wire/topics.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import type { Fx, HeardTopic, State } from './core.ts';
import { sawAck, sawPolicy, say, sayHeight, touched } from './ledger.ts';
import { type Anomaly, type Report, report } from './lifecycle.ts';

const MS_PER_S = 1000;

const refused = (fx: Fx, topic: HeardTopic, code: string): void => {
  fx.emit(`refused_${topic}`, 1);
  fx.log('warn', 'a message of the bus is refused', { topic, code });
};

const control = <K extends ControlKind>(
  state: State,
  kind: K,
  topic: HeardTopic,
  record: BusRecord,
  fx: Fx,
) => {
  const verified = verifyControl(kind, record.value, {
    crypto: state.crypto,
    roleOf: state.roles!.roleOf,
  });
  if (verified.ok) return verified.value;
  refused(fx, topic, verified.error.code);
  return undefined;
};

const context = (state: State, atMs: number) => ({
  validators: state.roles!.validators,
  windowMax: state.config.acceptanceWindow,
  atMs,
});

/** A word on an anomaly, and what it moved shown as counters and times. */
const tell = (state: State, id: string, word: Report, record: BusRecord, fx: Fx, atMs: number) => {
  const before = state.ledger.open.get(id);
  for (const moved of say(state.ledger, id, word, context(state, atMs))) {
    fx.emit(`anomalies_${moved.toLowerCase()}`, 1);
    if (moved !== 'COMMITTED' || before === undefined) continue;
    fx.emit('flow_to_commit_seconds', Math.max(0, atMs - before.detectedAtMs) / MS_PER_S);
    fx.emit('commit_to_feedback_seconds', Math.max(0, atMs - record.timestampMs) / MS_PER_S);
  }
};

const textOf = (payload: Uint8Array, field: string): string => {
  try {
    const value = JSON.parse(new TextDecoder().decode(payload))[field];
    return typeof value === 'string' ? value : '';
  } catch {
    return ''; // a payload that is no JSON is the validators' business: they reject it with a code
  }
};

const published = (state: State, record: BusRecord, fx: Fx, atMs: number): void => {
  const decoded = decodeAnomaly(record.value);
  if (!decoded.ok) return refused(fx, 'anomalies', decoded.error.code);
  const event = decoded.value;
  if (state.roles!.roleOf(event.pubkey) !== 'detector') {
    return refused(fx, 'anomalies', 'unknown-producer');
  }
  const signed = signingBytes('anomaly', event);
  if (!state.crypto.verify(event.pubkey, signed, event.signature)) {
    return refused(fx, 'anomalies', 'bad-signature');
  }
  const id = messageId(event.producerId, event.contentHash, state.crypto);
  if (state.ledger.open.has(id) || state.ledger.finished.has(id)) return;
  const detectedAtMs = state.detected.get(hex(event.contentHash)) ?? record.timestampMs;
  const anomaly: Anomaly = {
    id,
    type: event.type,
    source: event.source,
    srcIp: textOf(event.payload, 'src_ip'),
    dstIp: textOf(event.payload, 'dst_ip'),
    severity: event.severity,
    confidence: event.confidence,
    detectedAtMs,
    state: 'PUBLISHED',
    transitions: [
      { state: 'DETECTED', atMs: detectedAtMs, cause: 'detection' },
      { state: 'PUBLISHED', atMs: record.timestampMs, cause: 'bus' },
    ],
    admittedBy: [],
    rejectedBy: [],
    committedBy: [],
    height: 0,
  };
  state.ledger.open.set(id, anomaly);
  fx.emit('anomalies_published', 1);
  const early = state.ledger.early.get(id) ?? [];
  state.ledger.early.delete(id);
  for (const word of early) {
    for (const moved of report(anomaly, word, state.roles!.validators, atMs)) {
      fx.emit(`anomalies_${moved.toLowerCase()}`, 1);
    }
  }
  touched(state.ledger, anomaly, state.config.acceptanceWindow);
};

const validated = (state: State, record: BusRecord, fx: Fx, atMs: number): void => {
  const event = control(state, 'evidence-request', 'evidenceRequests', record, fx);
  if (event === undefined || event.requestType !== 'validation_result') return;
  if (event.anomalyId === '') return;
  const validator = hex(event.producerId);
  const word: Report = event.evidenceAccepted
    ? { kind: 'admitted', validator }
    : { kind: 'rejected', validator, reason: event.rejectionReason };
  tell(state, event.anomalyId, word, record, fx, atMs);
};

const committed = (state: State, record: BusRecord, fx: Fx, atMs: number): void => {
  const event = control(state, 'commit', 'commits', record, fx);
  if (event === undefined) return;
  const validator = hex(event.producerId);
  const said = `${hex(event.blockHash)} ${hex(event.stateRoot)}`;
  const word = { validator, said, policies: event.policyCount };
  sayHeight(state.ledger, event.height, word, state.roles!.validators);
  for (const id of event.anomalyIds) {
    tell(state, id, { kind: 'committed', validator, height: event.height }, record, fx, atMs);
  }
};

export const hear = (
  state: State,
  topic: HeardTopic,
  record: BusRecord,
  fx: Fx,
  atMs: number,
): void => {
  switch (topic) {
    case 'anomalies':
      return published(state, record, fx, atMs);
    case 'evidenceRequests':
      return validated(state, record, fx, atMs);
    case 'commits':
      return committed(state, record, fx, atMs);
    case 'policyUpdates': {
      const event = control(state, 'policy-update', topic, record, fx);
      if (event?.action !== 'add') return;
      return sawPolicy(state.ledger, event.policyId, event.effectiveHeight, atMs);
    }
    case 'policyAcks': {
      const event = control(state, 'policy-ack', topic, record, fx);
      if (event === undefined) return;
      return sawAck(state.ledger, event.policyId, event, atMs);
    }
  }
};
