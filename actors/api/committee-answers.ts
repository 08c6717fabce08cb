/** Validators and the state of consensus: what replicas say, and what the chain says of them. */
import { quorum } from '#proto/consensus/quorum.ts';
import { decodeState, validatorKey } from '#proto/state.ts';
import { type Answers, type Context, give, type Outcome, refuse, silent, want } from './answers.ts';
import { executorOf } from './chain-answers.ts';
import type { ApiConfig } from './config.ts';
import type { ConsensusView, ReplicaView, ValidatorView } from './views.ts';

type Member = ConsensusView['committee'][number];
const membersOf = (committee: string): readonly Member[] => JSON.parse(committee) as Member[];

/** The branches that are asked, the configured one first. */
export const branchesOf = ({ from, validators }: ApiConfig): readonly string[] => [
  ...new Set([from, ...validators]),
];

const heard = ({ statuses }: Answers, branches: readonly string[]) =>
  branches.flatMap((name) => {
    const answer = statuses.get(name);
    return answer?.ok ? [{ name, status: answer.value }] : [];
  });

/** undefined when no replica of this node has answered. */
export const consensusView = (have: Answers, c: Context): ConsensusView | undefined => {
  const branches = branchesOf(c.config);
  const answered = heard(have, branches);
  const first = answered[0];
  if (first === undefined) return undefined;
  const replicas = answered.map(({ name, status }): ReplicaView => {
    const { height, view, highQcView, viewChanges, peers, halted, genesis } = status;
    return { name, height, view, highQcView, viewChanges, peers, halted, genesis };
  });
  const committee = membersOf(first.status.committee);
  const weight = committee.reduce((sum, one) => sum + one.weight, 0);
  const { height, view, leader } = first.status;
  return {
    height,
    view,
    leader,
    committee,
    totalWeight: weight,
    quorumWeight: quorum(weight),
    replicas,
    silent: branches.filter((name) => answered.every((one) => one.name !== name)),
  };
};

export const wantStatuses = (c: Context) =>
  branchesOf(c.config).map((validator) => ({ part: 'status', validator }) as const);

export const composeConsensus = (have: Answers, c: Context): Outcome => {
  if (have.statuses.size === 0) return want(...wantStatuses(c));
  const view = consensusView(have, c);
  if (view !== undefined) return give(view);
  const names = branchesOf(c.config).join(', ');
  return refuse('unavailable', `no replica of this node answers (${names})`);
};

/** Every validator with its figures from one version of the state; an outcome where an answer is missing. */
const validatorsOf = (
  have: Answers,
  c: Context,
): Outcome | { readonly kind: 'all'; view: number; height: number; list: ValidatorView[] } => {
  const { from } = c.config;
  const { head } = have;
  const status = have.statuses.get(from);
  if (status === undefined || head === undefined) {
    return want({ part: 'status', validator: from }, { part: 'head' });
  }
  if (!status.ok) return silent(`the replica of ${from}`, status.error, c);
  if (!head.ok) return silent(executorOf(c), head.error, c);
  const members = membersOf(status.value.committee);
  const { height } = head.value;
  if (members.length === 0) {
    return refuse('unavailable', `the replica of ${from} has not read its genesis yet`);
  }
  if (have.states.size === 0) {
    return want(
      ...members.map(({ id }) => ({ part: 'state', key: validatorKey(id), height }) as const),
    );
  }
  const list: ValidatorView[] = [];
  for (const { id, leader, connected } of members) {
    const key = validatorKey(id);
    const answer = have.states.get(key);
    if (!answer?.ok) return silent(executorOf(c), answer?.error ?? 'timeout', c);
    if (!answer.value.found) continue;
    const state = decodeState(key, answer.value.value);
    const { name, publicKey, weight, reputation, proposed, committed } = state;
    const record = { weight, reputation, proposed, committed };
    list.push({ id, name, publicKey, ...record, leader, connected });
  }
  return { kind: 'all', view: status.value.view, height, list };
};

export const composeValidators = (have: Answers, c: Context): Outcome => {
  const found = validatorsOf(have, c);
  if (found.kind !== 'all') return found;
  const { height, view, list: validators } = found;
  return give({ height, view, validators });
};

export const composeValidator = (id: string, have: Answers, c: Context): Outcome => {
  const found = validatorsOf(have, c);
  if (found.kind !== 'all') return found;
  const one = found.list.find((validator) => validator.id === id || validator.name === id);
  if (one !== undefined) return give(one);
  const names = found.list.map(({ name }) => name).join(', ');
  return refuse('not-found', `no validator is called ${id}; there are ${names}`);
};
