/** The sink of effects for tests, simulation and replay: it records what the production sink carries out. */
import type { Effects, IoCommands } from './actor.ts';

export type Recorded = { readonly effect: string; readonly [field: string]: unknown };

export type Recorder<
  Self extends { readonly kind: string },
  Io extends IoCommands = Record<never, never>,
> = Effects<Self, Io> & {
  readonly log_: Recorded[];
  /** Returns what was recorded so far and forgets it. */
  take(): Recorded[];
};

const where = (to: { readonly name: string; readonly branch?: string }): string =>
  to.branch === undefined ? to.name : `${to.branch}.${to.name}`;

/** Effects that go nowhere but into a list; logs, counters and gauges are left out unless `all`. */
export const recorder = <
  Self extends { readonly kind: string },
  Io extends IoCommands = Record<never, never>,
>(
  all = false,
): Recorder<Self, Io> => {
  const log_: Recorded[] = [];
  const put = (entry: Recorded): void => {
    log_.push(entry);
  };
  const effects = {
    log_,
    take: () => log_.splice(0),
    tell: (to: { name: string }, message: unknown) =>
      put({ effect: 'tell', to: where(to), message }),
    ask: (to: { name: string }, message: unknown, resume: unknown, deadlineMs?: number) =>
      put({
        effect: 'ask',
        to: where(to),
        message,
        resume,
        ...(deadlineMs === undefined ? {} : { deadlineMs }),
      }),
    reply: (to: unknown, answer: unknown) => put({ effect: 'reply', to, answer }),
    after: (delayMs: number, message: unknown, key?: string) =>
      put({ effect: 'after', delayMs, message, ...(key === undefined ? {} : { key }) }),
    cancel: (key: string) => put({ effect: 'cancel', key }),
    watch: (to: { name: string }, message: unknown) =>
      put({ effect: 'watch', to: where(to), message }),
    io: (command: string, argument: unknown) => put({ effect: 'io', command, argument }),
    under: (_traceparent: string, body: () => void) => body(),
    emit: (name: string, value: number) => all && put({ effect: 'emit', name, value }),
    gauge: (name: string, value: number) => all && put({ effect: 'gauge', name, value }),
    signal: (event: unknown) => put({ effect: 'signal', event }),
    log: (level: string, text: string, fields?: unknown) =>
      all && put({ effect: 'log', level, text, fields }),
    stop: (reason: string, text?: string) => put({ effect: 'stop', reason, text }),
  };
  return effects as unknown as Recorder<Self, Io>;
};
