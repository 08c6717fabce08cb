/** The sink of effects for tests, simulation and replay: it records what the production sink carries out. */
import type { Effects, IoCommands, ServiceKey } from './actor.ts';

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
    ask: (
      to: { name: string },
      message: unknown,
      resume: unknown,
      deadlineMs?: number,
      key?: string,
    ) =>
      put({
        effect: 'ask',
        to: where(to),
        message,
        resume,
        ...(deadlineMs === undefined ? {} : { deadlineMs }),
        ...(key === undefined ? {} : { key }),
      }),
    giveUp: (key: string) => put({ effect: 'giveUp', key }),
    whenCancelled: (to: unknown, message: unknown) => put({ effect: 'whenCancelled', to, message }),
    deliver: (to: { name: string }, message: unknown, n: number, resume: unknown) =>
      put({ effect: 'deliver', to: where(to), message, n, resume }),
    confirm: (delivery: unknown) => put({ effect: 'confirm', delivery }),
    reply: (to: unknown, answer: unknown) => put({ effect: 'reply', to, answer }),
    after: (delayMs: number, message: unknown, key?: string) =>
      put({ effect: 'after', delayMs, message, ...(key === undefined ? {} : { key }) }),
    every: (periodMs: number, message: unknown, key: string) =>
      put({ effect: 'every', periodMs, message, key }),
    cancel: (key: string) => put({ effect: 'cancel', key }),
    watch: (to: { name: string }, message: unknown) =>
      put({ effect: 'watch', to: where(to), message }),
    unwatch: (to: { name: string }) => put({ effect: 'unwatch', to: where(to) }),
    stash: (message: unknown) => put({ effect: 'stash', message }),
    unstash: () => put({ effect: 'unstash' }),
    register: (key: ServiceKey) => put({ effect: 'register', key: key.service }),
    deregister: (key: ServiceKey) => put({ effect: 'deregister', key: key.service }),
    find: (key: ServiceKey, resume: unknown) => put({ effect: 'find', key: key.service, resume }),
    subscribe: (key: ServiceKey, resume: unknown) =>
      put({ effect: 'subscribe', key: key.service, resume }),
    unsubscribe: (key: ServiceKey) => put({ effect: 'unsubscribe', key: key.service }),
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
