/**
 * Carries out what the supervisors decide. Exits come in one at a time; restarts wait for their back-off without holding up
 * others; below one child of the root everything starts one after the other, in start order.
 */
import { decide, type History, NO_HISTORY, type Plan } from '#supervisors/decide.ts';
import type { Reason } from '#supervisors/strategy.ts';
import type { Supervisor } from '#supervisors/tree.ts';
import { joinPath } from './directory.ts';
import type { RuntimeEvent } from './events.ts';
import type { Member, Population } from './population.ts';
import type { SupervisorSpec } from './spec.ts';

/** The tree as the supervisors see it. */
export const supervisorOf = (spec: SupervisorSpec, path = ''): Supervisor => ({
  kind: 'supervisor',
  path,
  strategy: spec.strategy,
  intensity: spec.intensity,
  children: spec.children.map((child) => {
    const own = joinPath(path, child.name);
    if (child.kind === 'supervisor') return supervisorOf(child, own);
    const { restart, significant = false } = child;
    return { kind: 'actor', path: own, restart, significant };
  }),
});

export type Supervision = {
  /** Starts every actor in order; rejects with the failure of the first that does not start. */
  startAll(): Promise<void>;
  /** Actors that died together, siblings. Those that are not running are left out. */
  died(members: readonly Member[], reason: Reason): void;
  /** No more decisions, no more starts; resolves when what was under way has ended. */
  halt(): Promise<void>;
};

type Death = {
  readonly members: readonly Member[];
  readonly reason: Reason;
  readonly atMs: number;
};

export const superviseWith = (
  root: SupervisorSpec,
  population: Population,
  seed: number,
  on: {
    readonly report: (event: RuntimeEvent) => void;
    /** Messages that nobody will read any more. */
    readonly unread: (member: Member, count: number) => void;
    readonly stuck: (member: Member) => void;
    readonly end: (outcome: 'shutdown' | 'failed') => void;
  },
): Supervision => {
  const tree = supervisorOf(root);
  const byPath = new Map(population.members.map((m) => [m.place.path, m]));
  const deaths: Death[] = [];
  /** Actors that should run and do not, and when they may be started. */
  const wanted = new Map<Member, number>();
  const busy = new Map<string, Promise<void>>();
  let history: History = NO_HISTORY;
  let halted = false;
  let starting: { done: () => void; fail: (error: Error) => void } | undefined;
  let working = false;
  let timer: NodeJS.Timeout | undefined;
  let idle = Promise.resolve();

  /** Members of one group start one after the other: a child of the root, or the actors of a thread. */
  const group = (m: Member): string => {
    if (starting !== undefined || root.strategy !== 'one_for_one') return '';
    const [top, ...below] = m.place.path.split('.');
    return below.length === 0 ? `thread ${m.place.thread}` : top!;
  };

  /** Ends threads of which no actor lives or is about to. */
  const clear = async (members: readonly Member[]): Promise<void> => {
    for (const thread of new Set(members.map((m) => population.thread(m)))) {
      if (thread === undefined || !thread.alive()) continue;
      const inside = population.residents(thread.index);
      if (inside.some((m) => m.state === 'running' || m.state === 'starting')) continue;
      if (!(await thread.terminate(true))) on.stuck(inside[0]!);
    }
  };

  const carryOut = async (plan: Plan, death: Death): Promise<void> => {
    const find = (paths: readonly string[]): Member[] => paths.map((p) => byPath.get(p)!);
    for (const path of plan.escalated) on.report({ kind: 'escalated', path });
    const stopped = find(plan.stop).filter((m) => m.state === 'running');
    for (const m of stopped) {
      await population.stop(m);
      m.state = 'stopped';
      population.end(m, false);
    }
    for (const m of find(plan.gone)) {
      wanted.delete(m);
      m.state = death.reason === 'crash' ? 'failed' : 'stopped';
      on.unread(m, population.end(m, true));
      on.report({ kind: 'ended', path: m.place.path, reason: death.reason });
    }
    const notBeforeMs = performance.now() + plan.delayMs;
    for (const m of find(plan.start)) wanted.set(m, notBeforeMs);
    await clear([...stopped, ...find(plan.gone)]);
    if (plan.system === 'goes on') return;
    halted = true;
    on.end(plan.system);
  };

  const judge = async (death: Death): Promise<void> => {
    const paths = death.members.map((m) => m.place.path);
    const plan = decide(tree, history, { paths, reason: death.reason, atMs: death.atMs }, { seed });
    history = plan.history;
    await carryOut(plan, death);
  };

  const failedStart = async (m: Member, error: Error): Promise<void> => {
    if (m.state !== 'starting') return; // its thread died, which was noticed
    if (starting !== undefined) starting.fail(error);
    const thread = population.thread(m);
    const running = thread === undefined ? [] : population.residents(thread.index);
    const atMs = Date.now();
    const crash = { actor: m.place.index, path: m.place.path, kind: 'start' };
    const { message, stack = '' } = error;
    on.report({ kind: 'crash', crash: { ...crash, error: message, stack }, atMs });
    died([...running.filter((r) => r.state === 'running'), m], 'crash');
    await thread?.terminate(true);
  };

  const start = async (m: Member): Promise<void> => {
    const again = starting === undefined;
    try {
      await population.start(m);
    } catch (error) {
      await failedStart(m, error as Error);
      return;
    }
    const { path } = m.place;
    on.report({ kind: 'started', path, incarnation: population.incarnation(m) });
    if (again) on.report({ kind: 'restarted', path, restarts: ++m.restarts });
  };

  /** Starts what is due, one at a time in each group. */
  const startDue = (): void => {
    const nowMs = performance.now();
    for (const m of population.members) {
      const notBeforeMs = wanted.get(m);
      const key = group(m);
      if (notBeforeMs === undefined || notBeforeMs > nowMs || busy.has(key)) continue;
      wanted.delete(m);
      const work = start(m).finally(() => {
        busy.delete(key);
        wake();
      });
      busy.set(key, work);
    }
  };

  const work = async (): Promise<void> => {
    while (deaths.length > 0 && !halted) await judge(deaths.shift()!);
    if (halted) return;
    startDue();
    if (wanted.size === 0 && busy.size === 0) {
      starting?.done();
      starting = undefined;
    }
    const nextMs = Math.min(...wanted.values());
    clearTimeout(timer);
    if (nextMs === Number.POSITIVE_INFINITY) return;
    timer = setTimeout(wake, Math.max(1, nextMs - performance.now()));
  };

  const wake = (): void => {
    if (working || halted) return;
    working = true;
    idle = work()
      .catch((error: unknown) => {
        halted = true;
        starting?.fail(error as Error);
        on.end('failed');
      })
      .finally(() => {
        working = false;
        if (deaths.length > 0 && !halted) wake();
      });
  };

  const died = (members: readonly Member[], reason: Reason): void => {
    const fresh = members.filter((m) => m.state === 'running' || m.state === 'starting');
    if (fresh.length === 0) return;
    for (const m of fresh) {
      m.state = 'failed';
      population.end(m, false);
    }
    deaths.push({ members: fresh, reason, atMs: Date.now() });
    wake();
  };

  return {
    died,
    startAll: () =>
      new Promise((done, fail) => {
        starting = { done, fail };
        for (const m of population.members) wanted.set(m, 0);
        wake();
      }),
    halt: async () => {
      halted = true;
      clearTimeout(timer);
      await idle;
      await Promise.allSettled(busy.values());
    },
  };
};
