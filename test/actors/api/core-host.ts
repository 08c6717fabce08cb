/** The core of the API over fake actors: every ask is answered from a table, at once. */
import { config } from '#actors/api/config.ts';
import { type Answer, type Commands, createCore, type Self } from '#actors/api/core.ts';
import type { Problem } from '#actors/api/problem.ts';
import type { Request } from '#actors/api/request.ts';
import { crypto } from '#native/crypto.ts';
import { err, ok, type Result } from '#proto/result.ts';
import type { AskFailure } from '#runtime/actor.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';
import type { CommittedChain } from '#test/kit/committed-chain.ts';

export const AT_MS = 1_780_000_010_000;

type Message = { readonly kind: string; readonly [field: string]: unknown };
export type Asked = { readonly to: string; readonly message: Message; readonly deadlineMs: number };
/** By `<address>.<kind>`; a text is a failure. */
export type Answering = {
  readonly [question: string]: ((message: Message) => object) | AskFailure;
};

export const json = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

export const hostOf = (answering: Answering, settings: object = {}) => {
  const core = createCore(crypto);
  const state = core.init(config.parse(settings));
  const fx = recorder<Self, Commands>();
  const asked: Asked[] = [];
  const answers: Answer[] = [];
  let id = 0;

  const resultOf = ({ to, message }: Asked): Result<object, AskFailure> => {
    const answer = answering[`${to}.${message.kind}`] ?? 'no-such-actor';
    return typeof answer === 'string' ? err(answer) : ok(answer(message));
  };
  const settle = (): void => {
    for (const one of fx.take()) {
      if (one.effect === 'io')
        answers.push((one as Recorded & { argument: Commands['respond'] }).argument.answer);
      if (one.effect === 'after') core.step(state, one.message as Self, fx, AT_MS);
      if (one.effect !== 'ask') {
        settle();
        continue;
      }
      const question = one as unknown as Asked & { readonly resume: object };
      asked.push(question);
      core.step(state, { ...question.resume, result: resultOf(question) } as Self, fx, AT_MS);
      settle();
    }
  };
  const run = (request: Request): Answer => {
    core.step(state, { kind: 'request', id: ++id, request }, fx, AT_MS);
    settle();
    const answer = answers.shift();
    if (answer === undefined || answers.length > 0) throw new Error('not exactly one answer');
    return answer;
  };
  return {
    state,
    /** Everything asked since the last look. */
    asked: () => asked.splice(0),
    view: <V = Record<string, unknown>>(request: Request): V => {
      const answer = run(request);
      if (answer.kind === 'problem') throw new Error(JSON.stringify(answer.problem));
      return JSON.parse(JSON.stringify(answer.view)) as V;
    },
    problem: (request: Request): Problem => {
      const answer = run(request);
      if (answer.kind === 'view') throw new Error(`a view: ${JSON.stringify(answer.view)}`);
      return answer.problem;
    },
  };
};

/** The questions that a real executor answers. */
export const executorAnswers = ({ host }: CommittedChain, branch = 'v1'): Answering =>
  Object.fromEntries(
    ['head', 'read', 'state'].map((kind) => [
      `${branch}.executor.${kind}`,
      (message: Message) => host.ask(message)!,
    ]),
  );
