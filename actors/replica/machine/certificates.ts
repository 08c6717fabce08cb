/** QCs and TCs: verified before they move anything, and the only thing that moves a view. */
import { type Qc, type Tc, tcMaximum, verifyTc } from '#proto/consensus/certificate.ts';
import { totalWeight } from '#proto/consensus/committee.ts';
import { faultyMax } from '#proto/consensus/quorum.ts';
import { recordQc, recordTc } from './accountability.ts';
import type { Emit } from './events.ts';
import { onViewFailed } from './pacemaker.ts';
import { bound, note, type State } from './state.ts';
import { pruneOldViews } from './tree.ts';

const VERIFIED_MAX = 128;

/**
 * The QC, or one for the same block and view that was verified before (whose signatures are good); null if it
 * is invalid. The result is what may be kept and shown to others, never the argument.
 */
export const verifiedQc = (state: State, emit: Emit, qc: Qc): Qc | null => {
  const known = state.verified.get(qc.blockHash);
  if (known !== undefined && known.view === qc.view && known.epoch === qc.epoch) return known;
  if (!state.rules.qcIsValid(qc, state.trust)) return null;
  rememberQc(state, qc);
  recordQc(state, emit, qc);
  return qc;
};

/** For a QC that consists of votes which were verified one by one, too. */
export const rememberQc = (state: State, qc: Qc): void => {
  state.verified.set(qc.blockHash, qc);
  bound(state.verified, VERIFIED_MAX);
};

export const tcIsValid = (state: State, tc: Tc): boolean =>
  tc === state.tc || verifyTc(tc, state.trust).ok;

export const maximumOf = (state: State, tc: Tc): number => tcMaximum(tc, state.rules.certificates);

const enterView = (state: State, view: number): void => {
  state.view = view;
  state.candidate = null;
  state.building = null;
  state.repetitions = 0;
  pruneOldViews(state);
};

/** `qc` is verified. */
export const adoptQc = (state: State, qc: Qc): void => {
  if (qc.view > state.highQc.view) state.highQc = qc;
  if (state.tc !== null && state.tc.view <= state.highQc.view) state.tc = null;
  if (qc.view >= state.view) enterView(state, qc.view + 1);
};

/** `tc` is verified. Its QC first: then the view's end is known for what it is. */
export const adoptTc = (state: State, emit: Emit, tc: Tc): void => {
  recordTc(state, emit, tc);
  rememberQc(state, tc.highQc);
  recordQc(state, emit, tc.highQc);
  adoptQc(state, tc.highQc);
  if (tc.view < state.view) return;
  state.tc = tc;
  state.viewChanges += 1;
  const { committee, limits } = state.params;
  const leader = state.peers.get(state.rules.leader(committee, tc.view));
  const faulty = faultyMax(totalWeight(committee));
  state.pacemaker = onViewFailed(state.pacemaker, faulty, leader?.suspected ?? false, limits);
  note(emit, { name: 'view-change', view: tc.view });
  enterView(state, tc.view + 1);
};
