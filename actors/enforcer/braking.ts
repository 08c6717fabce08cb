/** The brake as the agent's core sees it: pulled by the command line, by the API, or by the topology. */
import type { Fx, Self, State } from './state.ts';

type Of<K extends Self['kind']> = Extract<Self, { kind: K }>;

const MS_PER_S = 1000;

/** Somebody with the right to do so wants nothing to be enforced; whether that holds is the API's business. */
export const pull = (message: Of<'brake'>, fx: Fx): void => {
  const { lastsS, by, reason, replyTo } = message;
  fx.io('pull', { lastsMs: lastsS * MS_PER_S, by, reason, replyTo });
};

export const release = (message: Of<'release'>, fx: Fx): void => {
  const { by, replyTo } = message;
  fx.io('release', { by, replyTo });
};

export const answered = (message: Of<'handled'>, fx: Fx): void => {
  const { replyTo, outcome, text } = message;
  fx.reply(replyTo, { outcome, text });
};

export const braked = (state: State, { why }: Of<'braked'>, fx: Fx): void => {
  state.brake = why;
  fx.gauge('braked', why === undefined ? 0 : 1);
  fx.signal({ kind: 'fact', name: 'brake', value: why?.reason ?? '' });
  const text = why === undefined ? 'enforcing again' : `nothing is enforced: ${why.reason}`;
  fx.log('warn', text);
  fx.signal({ kind: 'notice', topic: 'policy', text });
};
