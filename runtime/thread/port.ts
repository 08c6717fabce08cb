/** What an io adapter is given, bound to its actor. */
import { unixMs } from '#native/clock.ts';
import type { Custody } from '#native/custody.ts';
import type { IoPort, NodeSettings, SystemView } from '../actor.ts';
import type { Message } from '../mailbox/asks.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import type { MainControl } from '../system/thread.ts';

/** Deadlines of the calls that leave the thread. */
const VIEW_DEADLINE_MS = 2000;
const POOL_DEADLINE_MS = 60_000;

/** Rejects when `promise` has not settled in time; what it does later is nobody's concern any more. */
export const withDeadline = <T>(promise: Promise<T>, ms: number, what: string): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: no answer within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

export type Surroundings = {
  readonly node: NodeSettings;
  readonly custody: Custody;
  /** Calls on the main thread. */
  readonly main: MainControl;
  readonly traceparent: () => string;
};

export const portOf = (
  mailbox: Mailbox,
  dataDir: string,
  around: Surroundings,
): IoPort<Message> => {
  const { main } = around;
  const system: SystemView = {
    tree: () => withDeadline(main.tree(), VIEW_DEADLINE_MS, 'tree'),
    metrics: () => withDeadline(main.metrics(), VIEW_DEADLINE_MS, 'metrics'),
    notices: () => withDeadline(main.notices(), VIEW_DEADLINE_MS, 'notices'),
  };
  return {
    deliver: (message, traceparent) => mailbox.deliver(message, traceparent),
    traceparent: around.traceparent,
    path: mailbox.path,
    incarnation: mailbox.out.incarnation,
    dataDir,
    node: around.node,
    now: unixMs,
    log: (level, text, fields) => mailbox.fx.log(level, text, fields),
    emit: (name, value) => mailbox.metrics.emit(name, value),
    gauge: (name, value) => mailbox.metrics.gauge(name, value),
    native: (call) => around.custody.native(call),
    system,
    pool: async <T>(module: URL, task: string, argument: unknown) => {
      const result = main.pool(module.href, task, argument);
      return (await withDeadline(result, POOL_DEADLINE_MS, `pool ${task}`)) as T;
    },
  };
};
