/** Giving up a view: own timeouts, those of others, and the TC that a quorum of them makes. */
import {
  type Tc,
  type Timeout,
  timeoutBytes,
  timeoutIsCoherent,
  verifyClaim,
} from '#proto/consensus/certificate.ts';
import { totalWeight } from '#proto/consensus/committee.ts';
import { someHonest } from '#proto/consensus/quorum.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { recordClaim } from './accountability.ts';
import { adoptQc, adoptTc, maximumOf, tcIsValid, verifiedQc } from './certificates.ts';
import type { Emit } from './events.ts';
import { isQuorum, note, persist, publish, rejectFrom, type State, weightOf } from './state.ts';

/** The view's timer rang: time out, or say again that we did. */
export const onViewTimer = (state: State, emit: Emit, view: number): void => {
  if (view !== state.view || state.timer?.view !== view) return;
  state.timer = null;
  state.repetitions += 1;
  if (state.pendingCount > 0) emit({ kind: 'forward-pending' });
  if (state.lastTimeout?.claim.view !== view) return giveUp(state, emit);
  publish(state, emit, { kind: 'timeout', timeout: state.lastTimeout }, state.seq);
};

/** Signs a timeout of the current view, unless that would deny what was voted for. */
export const giveUp = (state: State, emit: Emit): void => {
  const { view, params, rules, highQc } = state;
  if (!rules.mayTimeout(state.safety, view, highQc.view)) return;
  const { chainId, epoch } = params.committee;
  const unsigned = { epoch, view, highQcView: highQc.view };
  const claim = {
    ...unsigned,
    signer: params.self,
    signature: params.sign(timeoutBytes(chainId, unsigned)),
  };
  const lastTc = highQc.view + 1 === view ? null : state.tc;
  state.safety = rules.afterTimeout(state.safety, view);
  state.lastTimeout = { claim, highQc, lastTc };
  const seq = persist(state, emit, null);
  const message = { kind: 'timeout', timeout: state.lastTimeout } as const;
  publish(state, emit, message, seq);
  state.own.push({ seq, message });
  note(emit, { name: 'timed-out', view });
};

/** What a timeout rests on, verified and adopted; false if it is invalid. */
const adoptAttached = (state: State, emit: Emit, timeout: Timeout): Timeout | null => {
  const highQc = verifiedQc(state, emit, timeout.highQc);
  if (highQc === null) return null;
  const { lastTc } = timeout;
  const isNews = lastTc !== null && lastTc.view >= state.view;
  if (isNews && !tcIsValid(state, lastTc)) return null;
  adoptQc(state, highQc);
  if (isNews) adoptTc(state, emit, lastTc);
  return { claim: timeout.claim, highQc, lastTc: null };
};

export const onTimeout = (state: State, emit: Emit, from: HashHex, timeout: Timeout): void => {
  const { claim } = timeout;
  const heard = state.heard.get(from);
  if (claim.signer !== from || heard === undefined) {
    return rejectFrom(emit, from, 'a timeout of another');
  }
  const known = heard.timeout?.claim;
  if (known?.view === claim.view && known.highQcView === claim.highQcView) return;
  if (!timeoutIsCoherent(timeout) || !verifyClaim(claim, state.trust).ok) {
    return rejectFrom(emit, from, 'invalid timeout');
  }
  recordClaim(state, emit, claim);
  const adopted = adoptAttached(state, emit, timeout);
  if (adopted === null) return rejectFrom(emit, from, 'a timeout with invalid certificates');
  acceptTimeout(state, emit, adopted);
};

/** `timeout` is verified, its certificates adopted; or it is our own and durable. */
export const acceptTimeout = (state: State, emit: Emit, timeout: Timeout): void => {
  const { claim } = timeout;
  const heard = state.heard.get(claim.signer);
  if (heard === undefined || (heard.timeout?.claim.view ?? 0) >= claim.view) return;
  heard.timeout = timeout;
  if (claim.view !== state.view) return;
  const weight = timeoutWeight(state);
  if (isQuorum(state, weight)) return formTc(state, emit);
  const enough = someHonest(totalWeight(state.params.committee));
  if (weight >= enough && state.lastTimeout?.claim.view !== state.view) giveUp(state, emit);
};

const timeoutsOfView = (state: State): readonly Timeout[] => {
  const timeouts: Timeout[] = [];
  for (const { timeout } of state.heard.values()) {
    if (timeout?.claim.view === state.view) timeouts.push(timeout);
  }
  return timeouts;
};

const timeoutWeight = (state: State): number => {
  let weight = 0;
  for (const { claim } of timeoutsOfView(state)) weight += weightOf(state, claim.signer);
  return weight;
};

/** Shown to the next leader, who may lack some of the timeouts; the others have it from the proposal. */
const formTc = (state: State, emit: Emit): void => {
  const timeouts = timeoutsOfView(state);
  const claims = timeouts.map((timeout) => timeout.claim);
  const first = timeouts[0];
  if (first === undefined) return;
  const { epoch } = state.params.committee;
  const { view } = state;
  const maximum = maximumOf(state, { epoch, view, claims, highQc: first.highQc });
  const highest = timeouts.find((timeout) => timeout.highQc.view === maximum) ?? first;
  const tc: Tc = { epoch, view, claims, highQc: highest.highQc };
  const leader = state.rules.leader(state.params.committee, view + 1);
  adoptTc(state, emit, tc);
  if (leader !== state.params.self) emitTc(state, emit, leader, tc);
};

/** Own claims inside are durable: they count here only after that. */
const emitTc = (state: State, emit: Emit, to: HashHex, tc: Tc): void => {
  const after = state.rules.after(state.seq);
  const message = { kind: 'new-view', tc } as const;
  emit({ kind: 'send', to, message, ...(after === undefined ? {} : { after }) });
};

export const onNewView = (state: State, emit: Emit, from: HashHex, tc: Tc): void => {
  if (tc.view < state.view) return;
  if (!tcIsValid(state, tc)) return rejectFrom(emit, from, 'invalid TC');
  adoptTc(state, emit, tc);
};
