/** What became of an order, told by signed messages of the bus alone; refusals are the validators' dead letters. Pure. */
import { hex } from '#proto/bytes.ts';
import { verifyCommitProof } from '#proto/commit-proof.ts';
import type { Trust } from '#proto/consensus/certificate.ts';
import type { RoleBook } from '#proto/roles.ts';
import { verifyControl } from '#proto/wire/control.ts';
import { DLQ_HEADERS, TOPICS } from '#proto/wire/topics.ts';
import type { BusRecord } from '#runtime/bus/record.ts';

/** A signed PolicyEvent that lies on the bus. */
export type Order = {
  readonly policyId: string;
  readonly action: 'add' | 'remove';
  /** Of its params, hex. */
  readonly ruleHash: string;
  readonly partition: number;
  readonly offset: number;
};

export type Acknowledged = {
  readonly agent: string;
  readonly result: 'applied' | 'failed';
  readonly code: string;
  readonly reason: string;
};

export type Fate = {
  /** Height of the block that carries it; proven. */
  height: number | undefined;
  /** One for each validator that refused the record, oldest first. */
  readonly refusals: { readonly code: string; readonly detail: string }[];
  /** By key and name of the agent; the newest word of each. */
  readonly acks: Map<string, Acknowledged>;
  /** Keys of enforcers that have said something. */
  readonly heard: Set<string>;
};

export type Believed = { readonly trust: Trust; readonly roles: RoleBook };

export const newFate = (): Fate => ({
  height: undefined,
  refusals: [],
  acks: new Map(),
  heard: new Set(),
});

export const FATE_TOPICS = [TOPICS.dlq, TOPICS.policyUpdates, TOPICS.policyAcks] as const;

/** The code that says most: `guardrail` has its name in the detail. */
const refused = (fate: Fate, order: Order, { headers }: BusRecord): void => {
  const isOurs =
    headers[DLQ_HEADERS.topic] === TOPICS.policy &&
    Number(headers[DLQ_HEADERS.partition]) === order.partition &&
    Number(headers[DLQ_HEADERS.offset]) === order.offset;
  if (!isOurs) return;
  const [code = 'unknown', detail = ''] = [headers[DLQ_HEADERS.code], headers[DLQ_HEADERS.detail]];
  fate.refusals.push(code === 'guardrail' ? { code: detail, detail: '' } : { code, detail });
};

const committed = (fate: Fate, order: Order, record: BusRecord, believed: Believed): void => {
  const { trust, roles } = believed;
  const context = { crypto: trust.crypto, roleOf: roles.roleOf };
  const event = verifyControl('policy-update', record.value, context);
  if (!event.ok) return;
  const { policyId, action, ruleData, ruleHash, commitProof, effectiveHeight } = event.value;
  if (policyId !== order.policyId || action !== order.action) return;
  if (hex(ruleHash) !== order.ruleHash) return;
  const proof = verifyCommitProof(commitProof, trust, { policyId, action, ruleData });
  if (proof.ok) fate.height ??= effectiveHeight;
};

const acknowledged = (fate: Fate, order: Order, record: BusRecord, believed: Believed): void => {
  const { trust, roles } = believed;
  const context = { crypto: trust.crypto, roleOf: roles.roleOf };
  const event = verifyControl('policy-ack', record.value, context);
  if (!event.ok) return;
  const { policyId, ruleHash, result, reason, errorCode, controllerInstance } = event.value;
  if (policyId !== order.policyId || hex(ruleHash) !== order.ruleHash) return;
  const key = hex(event.value.producerId);
  fate.heard.add(key);
  fate.acks.set(`${key} ${controllerInstance}`, {
    agent: controllerInstance,
    result,
    code: errorCode,
    reason,
  });
};

/** One record of one of FATE_TOPICS; what is forged or about something else changes nothing. */
export const hear = (
  fate: Fate,
  order: Order,
  topic: string,
  record: BusRecord,
  believed: Believed,
): void => {
  if (topic === TOPICS.dlq) refused(fate, order, record);
  else if (topic === TOPICS.policyUpdates) committed(fate, order, record, believed);
  else if (topic === TOPICS.policyAcks) acknowledged(fate, order, record, believed);
};

export type Verdict = 'committed' | 'refused' | 'unanswered';

/** A proof outweighs any dead letter: one validator may refuse what the others commit. */
export const verdictOf = ({ height, refusals }: Fate): Verdict => {
  if (height !== undefined) return 'committed';
  return refusals.length > 0 ? 'refused' : 'unanswered';
};

/** Nothing more is to come: every validator has refused it, or every enforcer of the genesis has spoken. */
export const isSettled = (fate: Fate, validators: number, enforcers: number): boolean =>
  fate.height === undefined ? fate.refusals.length >= validators : fate.heard.size >= enforcers;
