/** What the kill switch shows, and what came of a hand on it. */
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
import type { RequestOf } from './request.ts';

/** What the agent says of itself; only these fields are looked at here. */
type AgentSummary = {
  readonly backend: string;
  readonly coverage: number;
  readonly brake?: {
    readonly code: string;
    readonly reason: string;
    readonly by: string;
    readonly sinceMs: number | null;
    readonly untilMs: number | null;
  } | null;
};

export const composeKillSwitch = ({ enforcement }: Answers, c: Context): Outcome => {
  if (enforcement === undefined) return want({ part: 'enforcement' });
  if (!enforcement.ok) return silent('the enforcer', enforcement.error, c);
  const { backend, coverage, brake } = jsonOf<AgentSummary>(enforcement.value.json);
  return give({
    engaged: brake !== null && brake !== undefined,
    code: brake?.code ?? null,
    reason: brake?.reason ?? null,
    by: brake?.by ?? null,
    sinceMs: brake?.sinceMs ?? null,
    untilMs: brake?.untilMs ?? null,
    backend,
    coverage,
  });
};

/** The state after it, or why the agent could not do it. */
export const composeHand = (
  request: RequestOf<'brake'> | RequestOf<'release'>,
  have: Answers,
  c: Context,
): Outcome => {
  const hand = request.kind === 'brake' ? have.brake : have.release;
  if (hand === undefined) {
    const { kind: part, ...rest } = request;
    return want({ part, ...rest } as Parameters<typeof want>[0]);
  }
  if (!hand.ok) return silent('the enforcer', hand.error, c);
  const { outcome, text } = hand.value;
  if (outcome === 'in-topology') {
    return refuse('conflict', `${text}: remove it there and restart the node`);
  }
  if (outcome === 'failed') return refuse('internal-error', text);
  return composeKillSwitch(have, c);
};
