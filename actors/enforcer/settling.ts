/** What came of a batch and of a comparison with the backend. */
import { formatCidr } from '#proto/ip.ts';
import { type Ack, ackApplied, ackFailed } from './acks.ts';
import { type Applied, PACKET_COUNTS } from './backend.ts';
import type { Refusal } from './belief.ts';
import type { Surroundings } from './neighbourhood.ts';
import { allDesired, desired, type Entry, isLeaving, viewOf } from './registry.ts';
import type { Fx, Self, State } from './state.ts';
import { forbidden } from './verdict.ts';

const MS_PER_S = 1000;
/** What the backend refused or lost is tried again so soon. */
const RETRY_MS = 5000;
/** Lines of the live view that one batch may fill; it shows the newest hundred. */
const NOTICES_MAX = 16;
/** After writes, many of them together, every element is read back. */
const READ_BACK_MS = 1000;
/** Where reading takes long: so many times longer passes between two, at most `reconcileMs`. */
const READ_BACK_PAUSE = 10;

const announce = (entry: Entry, atMs: number, fx: Fx): void => {
  const targets = viewOf(entry).targets.join(', ');
  const ttlS = Math.round((entry.expiresMs - atMs) / MS_PER_S);
  const how = entry.reason === '' ? '' : ` (${entry.reason})`;
  const text = `${entry.rule.action} ${targets} for ${ttlS} s${how}`;
  fx.signal({ kind: 'notice', topic: 'policy', text });
};

/** The new status of an entry and what is said of it. */
const settle = (
  state: State,
  entry: Entry,
  outcome: Applied,
  fx: Fx,
  atMs: number,
  isShown = true,
): Ack => {
  const signer = state.signer!;
  entry.reason = outcome.reason;
  if (outcome.ok) {
    entry.status = 'applied';
    entry.appliedAtMs = atMs;
    fx.emit('stage_applied', 1);
    fx.emit('commit_to_apply_seconds', Math.max(0, atMs - entry.committedMs) / MS_PER_S);
    if (isShown) announce(entry, atMs, fx);
    return ackApplied(entry, signer, atMs);
  }
  entry.status = 'failed';
  fx.emit('failed', 1);
  const { code, reason } = outcome;
  fx.log('warn', 'a policy is not in force', { id: entry.id, code, reason });
  return ackFailed({ ...entry, policyId: entry.id, code, reason }, signer, atMs);
};

const end = (entry: Entry, atMs: number, fx: Fx): void => {
  if (entry.status !== 'expired') entry.status = 'removed';
  entry.endedAtMs = atMs;
  fx.emit(entry.status, 1);
};

/** An operator's removal is acknowledged like a policy: whoever ordered it hears that the firewall has obeyed. */
const settleRemoval = (state: State, entry: Entry, outcome: Applied, fx: Fx, atMs: number): Ack => {
  entry.status = 'removed';
  if (!outcome.ok) {
    const { code, reason } = outcome;
    entry.reason = reason;
    fx.emit('failed', 1);
    fx.log('warn', 'a removal is not done', { id: entry.id, code, reason });
    return ackFailed({ ...entry, policyId: entry.id, code, reason }, state.signer!, atMs);
  }
  entry.reason = outcome.reason === '' ? 'removed' : `removed (${outcome.reason})`;
  entry.appliedAtMs = atMs;
  end(entry, atMs, fx);
  const text = `${viewOf(entry).targets.join(', ')} is let through again`;
  fx.signal({ kind: 'notice', topic: 'policy', text });
  return ackApplied(entry, state.signer!, atMs);
};

export const enforced = (
  state: State,
  message: Extract<Self, { kind: 'enforced' }>,
  fx: Fx,
  atMs: number,
): void => {
  const { batch, outcomes } = message;
  const acks: Ack[] = [];
  if (batch.apply.length > 0) {
    fx.emit('heard_to_applied_seconds', (atMs - batch.sinceMs) / MS_PER_S);
  }
  for (const [k, entry] of batch.apply.entries()) {
    acks.push(settle(state, entry, outcomes[k]!, fx, atMs, k < NOTICES_MAX));
  }
  const unsaid = outcomes.slice(NOTICES_MAX, batch.apply.length).filter(({ ok }) => ok).length;
  if (unsaid > 0) {
    fx.signal({ kind: 'notice', topic: 'policy', text: `and ${unsaid} more policies` });
  }
  for (const [k, entry] of batch.remove.entries()) {
    const outcome = outcomes[batch.apply.length + k]!;
    if (entry.rule.action === 'remove') acks.push(settleRemoval(state, entry, outcome, fx, atMs));
    else end(entry, atMs, fx);
  }
  for (const refused of batch.refused) {
    fx.emit('refused', 1);
    fx.log('warn', 'a policy is refused', { ...refused });
    // What names no policy cannot be acknowledged; it is counted and logged.
    if (refused.policyId !== '') acks.push(ackFailed(refused, state.signer!, atMs));
  }
  if (outcomes.some((one) => !one.ok)) retrySoon(state, fx);
  else if (outcomes.length + batch.remove.length > 0 && !state.readBackDue) {
    state.readBackDue = true;
    compareIn(Math.max(READ_BACK_MS, READ_BACK_PAUSE * state.comparingMs), state, fx);
  }
  const entries = [...batch.apply, ...batch.remove, ...batch.renewed, ...batch.held];
  if (batch.remove.length > 0 || outcomes.some((one) => !one.ok)) state.cut = undefined;
  const { places, admitted } = batch;
  fx.io('save', { entries, acks, forgotten: [], places, admitted });
};

const retrySoon = (state: State, fx: Fx): void => compareIn(RETRY_MS, state, fx);

const compareIn = (ms: number, state: State, fx: Fx): void =>
  fx.after(Math.min(ms, state.config.reconcileMs), { kind: 'reconcile' }, 'reconcile');

/** Only what has changed is said: the acknowledgement of a policy that went on as before stands. */
export const reconciled = (
  state: State,
  message: Extract<Self, { kind: 'reconciled' }>,
  fx: Fx,
  atMs: number,
): void => {
  const { found } = message;
  state.comparingMs = atMs - state.comparedAtMs;
  // What failed before was not in force, so it was not lost.
  const drifted = found.missing.filter(({ status }) => status !== 'failed').length;
  const changed: Entry[] = [];
  const acks: Ack[] = [];
  for (const [k, outcome] of found.outcomes.entries()) {
    const entry = message.desired[k]!;
    const isKnown = state.registry.entries.get(entry.id) === entry && desired(entry, atMs);
    const isNews = outcome.ok ? entry.status !== 'applied' : entry.status !== 'failed';
    if (!isKnown || !isNews) continue;
    // The same fact has the same id; one that comes about again is another one.
    entry.turn++;
    acks.push(settle(state, entry, outcome, fx, atMs));
    changed.push(entry);
  }
  const wanted = new Set(message.desired.map((entry) => entry.id));
  // A comparison that began before the removal was heard says nothing about it.
  const leaving = [...state.registry.entries.values()].filter(
    (entry) => isLeaving(entry) && !wanted.has(entry.id),
  );
  for (const entry of found.isEqual ? leaving : []) {
    entry.turn++;
    acks.push(settleRemoval(state, entry, { id: entry.id, ok: true, reason: '' }, fx, atMs));
    changed.push(entry);
  }
  if (changed.length > 0) {
    state.cut = undefined;
    fx.io('save', { entries: changed, acks, forgotten: [], places: [], admitted: [] });
  }
  const isOpen = leaving.length > 0 && !found.isEqual;
  if (isOpen || found.outcomes.some((one) => !one.ok)) retrySoon(state, fx);
  if (found.fault !== undefined && state.fault?.reason !== found.fault.reason) {
    fx.log('error', 'what is in force cannot be read or written', { ...found.fault });
  }
  state.fault = found.fault;
  fx.gauge('backend_up', found.fault === undefined ? 1 : 0);
  if (found.fault !== undefined) return retrySoon(state, fx);
  report(state, message, drifted, fx);
};

const report = (
  state: State,
  message: Extract<Self, { kind: 'reconciled' }>,
  drifted: number,
  fx: Fx,
): void => {
  const { desired: wanted, found } = message;
  const lost = found.missing.length;
  state.coverage = wanted.length === 0 ? 1 : (wanted.length - lost) / wanted.length;
  if (state.brake !== undefined) state.coverage = wanted.length === 0 ? 1 : 0;
  fx.gauge('coverage_ratio', state.coverage);
  state.packets = found.packets;
  for (const action of PACKET_COUNTS) fx.gauge(`packets_${action}`, found.packets[action]);
  const differed = drifted + found.foreign > 0;
  if (differed && !state.repaired) compareIn(READ_BACK_MS, state, fx);
  state.repaired = differed;
  if (!differed) return;
  fx.emit('drift_repaired', drifted + found.foreign);
  fx.log('warn', 'the backend differed from what is committed and was repaired', {
    missing: drifted,
    foreign: found.foreign,
  });
};

const sacredOf = ({ own, gateways, resolvers, admins }: Surroundings): string =>
  [own, gateways, resolvers, admins].map((list) => list.map(formatCidr).join()).join('|');

export const surveyed = (state: State, around: Surroundings, fx: Fx, atMs: number): void => {
  const isNews = sacredOf(around) !== sacredOf(state.around);
  state.around = around;
  state.cut = undefined;
  if (isNews) giveWay(state, fx, atMs);
};

/** What may not be blocked wins over what is blocked already. */
export const giveWay = (state: State, fx: Fx, atMs: number): void => {
  const remove: Entry[] = [];
  const refused: Refusal[] = [];
  for (const entry of allDesired(state.registry, atMs)) {
    const why = forbidden(entry.rule, state.trusted!, state.around);
    if (why === undefined) continue;
    entry.status = 'removed';
    entry.endedAtMs = atMs;
    remove.push(entry);
    refused.push({ policyId: entry.id, ...why, ruleHash: entry.ruleHash });
  }
  if (remove.length === 0) return;
  const nothing = { apply: [], renewed: [], held: [], admitted: [], places: [] };
  fx.io('enforce', { ...nothing, remove, refused, sinceMs: atMs });
};
