import { concat, utf8 } from '../bytes.ts';
import { ok, type Result } from '../result.ts';
import { ackWire, type PolicyAckEvent } from './ack.ts';
import type { WireType } from './codec.ts';
import { type CommitEvent, commitWire } from './commit.ts';
import { type WireError, wireError } from './errors.ts';
import { type EvidenceRequestEvent, evidenceRequestWire } from './evidence-request.ts';
import { orderProblem, scanFields } from './fields.ts';
import { type PolicyUpdateEvent, policyUpdateWire } from './policy-update.ts';
import { type ReputationEvent, reputationWire } from './reputation.ts';
import { CONTROL_DOMAINS, type ControlKind } from './topics.ts';

export type ControlMessages = {
  readonly commit: CommitEvent;
  readonly 'policy-update': PolicyUpdateEvent;
  readonly 'policy-ack': PolicyAckEvent;
  readonly reputation: ReputationEvent;
  readonly 'evidence-request': EvidenceRequestEvent;
};

export type ControlMessage<K extends ControlKind> = ControlMessages[K];

export type ControlWire<T extends object> = {
  readonly wire: WireType<T>;
  /** Field numbers of signature, pubkey and alg: what the signature does not cover. */
  readonly cut: readonly number[];
};

export const CONTROL_WIRES: { readonly [K in ControlKind]: ControlWire<ControlMessages[K]> } = {
  commit: { wire: commitWire, cut: [10, 11, 12] },
  'policy-update': { wire: policyUpdateWire, cut: [12, 13, 14] },
  'policy-ack': { wire: ackWire, cut: [24, 25, 26] },
  reputation: { wire: reputationWire, cut: [14, 15, 16] },
  'evidence-request': { wire: evidenceRequestWire, cut: [16, 17, 18] },
};

/** `domain || received bytes with signature, pubkey and alg cut out`. Works on the bytes as they
 * came, so that fields which we do not know stay signed; `malformed` where a field stands twice
 * or out of order, because two readers could then see two messages under one signature. */
export const controlSigningBytes = (
  kind: ControlKind,
  received: Uint8Array,
): Result<Uint8Array, WireError> => {
  const { wire, cut } = CONTROL_WIRES[kind];
  const scan = scanFields(received);
  const problem = scan.problem ?? orderProblem(scan.fields, wire.repeated);
  if (problem !== undefined) return wireError('malformed', problem);
  const kept = scan.fields.filter((field) => !cut.includes(field.number));
  const parts = kept.map((field) => received.subarray(field.start, field.end));
  return ok(concat(utf8(CONTROL_DOMAINS[kind]), ...parts));
};
