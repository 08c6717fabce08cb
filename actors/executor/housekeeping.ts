/**
 * What a block does before its transactions: forgets nonces, sweeps expired policies, lets old records go. Bounded,
 * in one order on every replica, and a function of the branch alone: how much of it is committed here or there
 * makes no difference.
 */
import { activeKey, type PolicyState, policyKey, type StateKey, TOTALS_KEY } from '#proto/state.ts';
import { type Due, dueBy, dueOf, dueOrder, SUBJECTS, type Subject, subjectOf } from './agenda.ts';
import { accept, must, read, type Scratch, write } from './scratch.ts';
import type { Branch } from './version.ts';

/** A block sweeps at most so many. */
export const SWEEP_MAX: Readonly<Record<Subject, number>> = {
  nonces: 2000,
  policies: 100,
  retention: 1000,
};

/** Due in the committed state or in the uncommitted blocks below, in order. */
function* dueInBranch(branch: Branch, subject: Subject, timeMs: number): Generator<Due> {
  const above = branch.uncommitted
    .flatMap((version) => version.dues)
    .filter((due) => due.dueMs <= timeMs && subjectOf(due.key) === subject)
    .sort(dueOrder);
  let next = 0;
  for (const due of dueBy(branch.book, subject, timeMs)) {
    while (next < above.length && dueOrder(above[next] as Due, due) < 0) {
      yield above[next++] as Due;
    }
    yield due;
  }
  yield* above.slice(next);
}

const sweepPolicy = (pad: Scratch, policy: PolicyState, key: StateKey<PolicyState>): void => {
  write(pad, key, null);
  if (policy.status !== 'active') return;
  const totals = must(pad, TOTALS_KEY);
  write(pad, TOTALS_KEY, { ...totals, active: totals.active - 1 });
  const inForce = activeKey(policy.target, policy.action);
  if (key === policyKey(read(pad, inForce)?.policy ?? '')) write(pad, inForce, null);
};

export const sweep = (pad: Scratch, branch: Branch, timeMs: number): void => {
  for (const subject of SUBJECTS) {
    let left = SWEEP_MAX[subject];
    for (const { key, dueMs } of dueInBranch(branch, subject, timeMs)) {
      if (left === 0) break;
      const value = read(pad, key);
      // An uncommitted block may have removed or renewed it since it was noted: its turn is that of the newest
      // value, whether that is committed here already or not.
      if (value === null || dueOf(key, value, branch.book.parameters) !== dueMs) continue;
      if (subject === 'policies') sweepPolicy(pad, value as PolicyState, key);
      else write(pad, key, null);
      accept(pad);
      left -= 1;
    }
  }
};
