/** What the commands about decisions print. */
import { type CliIo, EXIT } from '#runtime/cli/command.ts';
import { type Verdict, verdictOf } from './fate.ts';
import type { Followed } from './following.ts';

const LATER = 'it may yet be committed: look with `decisions list`, and at `dlq list`';

export const failure = (io: CliIo, error: string, more: object = {}): number => {
  if (io.json) io.out(JSON.stringify({ ok: false, error, ...more }));
  else io.err(`error: ${error}`);
  return EXIT.failure;
};

export type Outcome = {
  readonly policyId: string;
  readonly action: 'add' | 'remove';
  readonly fate: Verdict;
  /** null before the commit. */
  readonly height: number | null;
  /** Of the first refusal; '' where there is none. */
  readonly code: string;
  readonly detail: string;
  readonly refusedBy: number;
  readonly acks: readonly {
    readonly agent: string;
    readonly result: string;
    readonly code: string;
    readonly reason: string;
  }[];
  /** Enforcers of the genesis that have not answered, by name. */
  readonly silent: readonly string[];
};

/** Enforcers by their public key, hex. */
export type Enforcers = ReadonlyMap<string, string>;

export const outcomeOf = ({ order, fate }: Followed, enforcers: Enforcers): Outcome => {
  const [first] = fate.refusals;
  return {
    policyId: order.policyId,
    action: order.action,
    fate: verdictOf(fate),
    height: fate.height ?? null,
    code: first?.code ?? '',
    detail: first?.detail ?? '',
    refusedBy: fate.refusals.length,
    acks: [...fate.acks.values()],
    silent: [...enforcers].flatMap(([key, name]) => (fate.heard.has(key) ? [] : [name])),
  };
};

const isDone = ({ fate, acks }: Outcome): boolean =>
  fate === 'committed' && acks.every((ack) => ack.result === 'applied');

const linesOf = (one: Outcome, validators: number): readonly string[] => {
  const name = `${one.action === 'add' ? 'policy' : 'removal of'} ${one.policyId}`;
  if (one.fate === 'unanswered') return [`${name}: no answer in time; ${LATER}`];
  if (one.fate === 'refused') {
    const detail = one.detail === '' ? '' : ` (${one.detail})`;
    return [`${name}: refused by ${one.refusedBy} of ${validators}: ${one.code}${detail}`];
  }
  const acks = one.acks.map(({ agent, result, code, reason }) => {
    const how = [code, reason].filter((word) => word !== '').join(': ');
    return `  ${agent}: ${result}${how === '' ? '' : ` (${how})`}`;
  });
  const silent = one.silent.map((agent) => `  ${agent}: no acknowledgement yet`);
  return [`${name}: committed at height ${one.height}`, ...acks, ...silent];
};

/** 0 when every order is committed and no agent has failed. */
export const tell = (io: CliIo, outcomes: readonly Outcome[], validators: number): number => {
  const ok = outcomes.every(isDone);
  if (io.json) io.out(JSON.stringify({ ok, decisions: outcomes }));
  else for (const one of outcomes) for (const line of linesOf(one, validators)) io.out(line);
  return ok ? EXIT.ok : EXIT.failure;
};
