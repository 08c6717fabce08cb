/** Policies beyond the caps of this agent: held until a person approves them, or their time is over. */

import { type Admission, admissionOf } from './admissions.ts';
import type { Refusal } from './belief.ts';
import { admit } from './pace.ts';
import { allHeld, type Entry, viewOf } from './registry.ts';
import type { Fx, Self, State } from './state.ts';
import { type Cap, forbidden } from './verdict.ts';

/** Stop, alert, ask: nothing is enforced, and whoever watches hears what to do. */
export const hold = (state: State, entry: Entry, why: Cap, fx: Fx): Refusal => {
  entry.status = 'held';
  entry.reason = `${why.code}: ${why.reason}`;
  state.registry.entries.set(entry.id, entry);
  const targets = viewOf(entry).targets.join(', ');
  const text = `held: ${entry.rule.action} ${targets} (${why.code}); approve it with decisions approve ${entry.id}`;
  fx.signal({ kind: 'notice', topic: 'policy', text });
  fx.emit('held', 1);
  return { policyId: entry.id, ...why, ruleHash: entry.ruleHash };
};

/** What was approved comes into force for what is left of its time, unless it has become forbidden meanwhile. */
export const approved = (
  state: State,
  { by }: Extract<Self, { kind: 'approved' }>,
  fx: Fx,
  atMs: number,
): void => {
  state.approved = by;
  const apply: Entry[] = [];
  const refused: Refusal[] = [];
  const admitted: Admission[] = [];
  for (const entry of allHeld(state.registry, atMs)) {
    if (!by.has(entry.id)) continue;
    const why = forbidden(entry.rule, state.trusted!, state.around);
    if (why !== undefined) {
      refused.push({ policyId: entry.id, ...why, ruleHash: entry.ruleHash });
      continue;
    }
    entry.status = 'pending';
    entry.reason = '';
    entry.turn++;
    admitted.push(admit(state.pace, admissionOf(entry.rule, state.crypto, atMs)));
    apply.push(entry);
    fx.log('warn', 'a held policy is approved', { id: entry.id, by: by.get(entry.id) });
  }
  if (apply.length + refused.length === 0) return;
  state.cut = undefined;
  const nothing = { remove: [], renewed: [], held: [], places: [] };
  fx.io('enforce', { apply, refused, admitted, ...nothing, sinceMs: atMs });
};
