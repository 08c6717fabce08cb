/**
 * Policies. Which there are is learned from the enforcement agent; what is shown of each stands in the state of the
 * chain, under one root. So nothing is called active that the chain does not call active.
 */
import { hex } from '#proto/bytes.ts';
import { encodeCommitProof } from '#proto/commit-proof.ts';
import type { JsonObject } from '#proto/json.ts';
import { decodeState, type PolicyState, policyKey, TOTALS_KEY } from '#proto/state.ts';
import {
  type Answers,
  type Context,
  give,
  jsonOf,
  type Outcome,
  refuse,
  silent,
  want,
} from './answers.ts';
import { executorOf, outOfReach } from './chain-answers.ts';
import { anchorOf, anchorView, cborOf, merkleOf, merkleView } from './chain-views.ts';
import type { RequestOf } from './request.ts';
import type { PolicyView } from './views.ts';

/** Asked of the agent before it is narrowed down. */
const AGENT_LIST_MAX = 1000;
const MS_PER_S = 1000;

/** What the agent says of a policy; only these fields are looked at here. */
type AgentPolicy = JsonObject & {
  readonly id: string;
  readonly status: string;
  readonly expiresMs: number;
};

const ruleTypeOf = (rule: string): string => {
  const { rule_type } = JSON.parse(rule) as { readonly rule_type?: string };
  return rule_type ?? '';
};

const viewOf = (
  id: string,
  state: PolicyState,
  enforcement: AgentPolicy | undefined,
  { atMs }: Context,
): PolicyView => ({
  id,
  type: ruleTypeOf(state.rule),
  action: state.action,
  targets: state.targets,
  ttlS: Math.round((state.expiresMs - state.committedMs) / MS_PER_S),
  active: state.status === 'active' && state.expiresMs > atMs,
  status: state.status,
  offence: state.offence,
  anomaly: state.anomaly,
  height: state.height,
  committedMs: state.committedMs,
  expiresMs: state.expiresMs,
  enforcement: enforcement ?? null,
});

/** Those that the chain may call active (or not), newest first, by what the agent knows. */
const candidates = (
  listed: readonly AgentPolicy[],
  { active, limit }: RequestOf<'policies'>,
  { atMs }: Context,
): readonly AgentPolicy[] =>
  listed
    .filter(({ status, expiresMs }) => {
      const isOver = expiresMs <= atMs || status === 'removed' || status === 'expired';
      return active === undefined || active !== isOver;
    })
    .slice(0, limit);

export const composePolicies = (
  request: RequestOf<'policies'>,
  { policies: list, states }: Answers,
  c: Context,
): Outcome => {
  const totals = states.get(TOTALS_KEY);
  if (list === undefined || totals === undefined) {
    return want(
      { part: 'policies', limit: AGENT_LIST_MAX },
      { part: 'state', key: TOTALS_KEY, height: 0 },
    );
  }
  if (!list.ok) return silent('the enforcer', list.error, c);
  if (!totals.ok) return silent(executorOf(c), totals.error, c);
  const { height } = totals.value;
  const chosen = candidates(jsonOf<AgentPolicy[]>(list.value.policies), request, c);
  const unseen = chosen.filter(({ id }) => !states.has(policyKey(id)));
  if (unseen.length > 0) {
    return want(
      ...unseen.map(({ id }) => ({ part: 'state', key: policyKey(id), height }) as const),
    );
  }
  const policies: PolicyView[] = [];
  for (const agent of chosen) {
    const key = policyKey(agent.id);
    const answer = states.get(key);
    if (!answer?.ok) return silent(executorOf(c), answer?.error ?? 'timeout', c);
    if (!answer.value.found) continue;
    const view = viewOf(agent.id, decodeState(key, answer.value.value), agent, c);
    if (request.active === undefined || request.active === view.active) policies.push(view);
  }
  const activeInState = totals.value.found ? decodeState(TOTALS_KEY, totals.value.value).active : 0;
  return give({ height, policies, activeInState });
};

/** The policy under the root of the newest certified block, with all that proves it. */
export const composePolicy = (id: string, have: Answers, c: Context): Outcome => {
  const { head, policies: list, states } = have;
  if (head === undefined || list === undefined) {
    return want({ part: 'head' }, { part: 'policies', limit: AGENT_LIST_MAX });
  }
  if (!head.ok) return silent(executorOf(c), head.error, c);
  const unknown = (): Outcome =>
    refuse('not-found', `the state has no policy ${id}; see /api/v1/policies`);
  if (head.value.proof.length === 0) return unknown();
  const anchor = anchorOf(head.value.proof);
  const key = policyKey(id);
  const answer = states.get(key);
  if (answer === undefined) return want({ part: 'state', key, height: anchor.anchor.height });
  if (!answer.ok) return silent(executorOf(c), answer.error, c);
  const { found, value, proof, root } = answer.value;
  if (outOfReach(root)) {
    return refuse('unavailable', `the state after block ${anchor.anchor.height} is on its way`);
  }
  if (!found) return unknown();
  const state = decodeState(key, value);
  // The agent's word is an addition: a node without one shows the policy all the same.
  const agents = list.ok ? jsonOf<AgentPolicy[]>(list.value.policies) : [];
  const agent = agents.find((one) => one.id === id);
  return give({
    ...viewOf(id, state, agent, c),
    rule: state.rule,
    proof: {
      key,
      valueHex: hex(value),
      merkle: merkleView(proof),
      anchor: anchorView(head.value.proof, c.crypto),
      commitProof: cborOf(encodeCommitProof({ anchor, key, value, merkle: merkleOf(proof) })),
    },
  });
};
