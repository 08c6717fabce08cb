/**
 * Carries out what the supervisors decide. Exits come in one at a time; restarts wait for their back-off without holding
 * up others; below one child of the root everything starts one after the other, in start order.
 */
import { decide, type History, NO_HISTORY, type Plan } from '#supervisors/decide.ts';
import { comesBackAlone, forgetsAtMs, isAlone } from '#supervisors/grant.ts';
import { isFailure, type Reason } from '#supervisors/strategy.ts';
import type { Supervisor } from '#supervisors/tree.ts';
import type { RuntimeEvent } from '../events.ts';
import type { SupervisorSpec } from '../spec.ts';
import { crashReason } from '../thread/host.ts';
import { joinPath } from './directory.ts';
import type { Member, Population } from './population.ts';

/** The tree as the supervisors see it. */
export const supervisorOf = (spec: SupervisorSpec, path = ''): Supervisor => ({
  kind: 'supervisor',
  path,
  restart: spec.restart ?? 'transient',
  significant: spec.significant ?? false,
  strategy: spec.strategy,
  autoShutdown: spec.autoShutdown ?? 'any_significant',
  intensity: spec.intensity,
  ...(spec.backoff === undefined ? {} : { backoff: spec.backoff }),
  children: spec.children.map((child) => {
    const own = joinPath(path, child.name);
    if (child.kind === 'supervisor') return supervisorOf(child, own);
    const { restart, significant = false } = child;
    return { kind: 'actor', path: own, restart, significant };
  }),
});

type Death = {
  readonly members: readonly Member[];
  readonly reason: Reason;
  readonly atMs: number;
  /** Its thread restarts the one that died by itself, as granted. */
  readonly returns: boolean;
};

export type SupervisionListener = {
  readonly report: (event: RuntimeEvent) => void;
  /** Messages that nobody will read any more. */
  readonly unread: (member: Member, count: number) => void;
  readonly stuck: (member: Member) => void;
  /** The root gave up, or its significant child ended. */
  readonly end: (outcome: 'shutdown' | 'failed') => void;
};

const isAlive = (m: Member): boolean => m.state === 'running' || m.state === 'starting';

export class Supervision {
  private readonly strategy: SupervisorSpec['strategy'];
  private readonly tree: Supervisor;
  private readonly population: Population;
  private readonly seed: number;
  private readonly on: SupervisionListener;
  private readonly byPath: ReadonlyMap<string, Member>;
  private readonly deaths: Death[] = [];
  /** Actors that an operator wants started anew, and who waits until they have ended. */
  private readonly asked: { readonly member: Member; readonly ended: () => void }[] = [];
  /** Actors that should run and do not, and when they may be started. */
  private readonly wanted = new Map<Member, number>();
  /** Starts under way, by group. */
  private readonly busy = new Map<string, Promise<void>>();
  private history: History = NO_HISTORY;
  private halted = false;
  private working = false;
  private work: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | undefined;
  private granting: NodeJS.Timeout | undefined;
  /** The first start of the whole system, while it is under way. */
  private starting: { done: () => void; fail: (error: Error) => void } | undefined;

  constructor(root: SupervisorSpec, population: Population, seed: number, on: SupervisionListener) {
    this.strategy = root.strategy;
    this.tree = supervisorOf(root);
    this.population = population;
    this.seed = seed;
    this.on = on;
    this.byPath = new Map(population.members.map((m) => [m.place.path, m]));
  }

  /** Starts every actor in order; rejects with the failure of the first that does not start. */
  startAll(): Promise<void> {
    return new Promise((done, fail) => {
      this.starting = { done, fail };
      for (const m of this.population.members) this.wanted.set(m, 0);
      this.wake();
    });
  }

  /** Actors that died together, siblings. Those that are not alive are left out. */
  died(members: readonly Member[], reason: Reason): void {
    const fresh = members.filter(isAlive);
    if (fresh.length === 0) return;
    for (const m of fresh) {
      m.state = 'failed';
      this.population.end(m, false);
    }
    this.deaths.push({ members: fresh, reason, atMs: Date.now(), returns: false });
    this.wake();
  }

  /** It has crashed, and its thread restarts it by itself, as granted. */
  returns(member: Member): void {
    if (!isAlive(member)) return; // it is being stopped
    this.population.rouse();
    const members = [member];
    this.deaths.push({ members, reason: 'crash', atMs: Date.now(), returns: true });
    this.wake();
  }

  /** The incarnation that its thread began serves. */
  returned(member: Member): void {
    if (member.state !== 'running') return;
    this.population.rouse();
    this.started(member, true);
  }

  /**
   * It is closed in order and started anew where it lives, which counts as no crash: nobody else is touched, and what waits
   * in its mailbox is handled by its next incarnation. Resolves when it has ended.
   */
  restart(member: Member): Promise<void> {
    if (this.halted) return Promise.reject(new RangeError('the node is stopping'));
    return new Promise((ended) => {
      this.asked.push({ member, ended });
      this.wake();
    });
  }

  /** No more decisions, no more starts; resolves when what was under way has ended. */
  async halt(): Promise<void> {
    this.halted = true;
    clearTimeout(this.timer);
    clearTimeout(this.granting);
    for (const m of this.population.members) this.population.grant(m, false);
    await this.work;
    for (const { ended } of this.asked.splice(0)) ended();
    await Promise.allSettled(this.busy.values());
  }

  private wake(): void {
    if (this.working || this.halted) return;
    this.working = true;
    this.work = this.turn()
      .catch((error: Error) => {
        this.halted = true;
        this.starting?.fail(error);
        this.on.end('failed');
      })
      .finally(() => {
        this.working = false;
        if (this.deaths.length > 0 || this.asked.length > 0) this.wake();
      });
  }

  private async turn(): Promise<void> {
    while (this.deaths.length > 0 && !this.halted) await this.judge(this.deaths.shift()!);
    for (const { member, ended } of this.asked.splice(0)) {
      if (!this.halted) await this.renew(member);
      ended();
    }
    if (this.halted) return;
    this.startDue();
    if (this.starting !== undefined && this.wanted.size === 0 && this.busy.size === 0) {
      this.starting.done();
      this.starting = undefined;
      this.population.fillSpares();
    }
    this.grantAll();
    clearTimeout(this.timer);
    const nextMs = Math.min(...this.wanted.values());
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.timer = setTimeout(() => this.wake(), Math.max(1, nextMs - performance.now()));
  }

  private async judge({ members: dead, reason, atMs, returns }: Death): Promise<void> {
    // Some may have been stopped since, by the plan of an earlier death.
    const members = dead.filter((m) => m.state === 'failed' || (returns && isAlive(m)));
    if (members.length === 0) return;
    const exit = { paths: members.map((m) => m.place.path), reason, atMs };
    const plan = decide(this.tree, this.history, exit, { seed: this.seed });
    this.history = plan.history;
    const first = members[0]!;
    if (returns && isAlone(plan, first.place.path)) return;
    if (returns && first.state === 'running') {
      // The history has changed since the grant: what its thread has begun comes to an end again.
      await this.end(first);
      first.state = 'failed';
    }
    await this.carryOut(plan, reason, members);
  }

  private async renew(member: Member): Promise<void> {
    if (member.state !== 'running') return; // it has died meanwhile, which is judged
    await this.end(member);
    this.wanted.set(member, performance.now());
  }

  /** Stops it where it lives; a thread that does not let go of it in its time is ended. */
  private async end(m: Member): Promise<void> {
    const thread = this.population.thread(m);
    const inTime = await this.population.stop(m);
    m.state = 'stopped';
    this.population.end(m, false);
    if (inTime || thread === undefined || !thread.alive()) return;
    if (!(await thread.terminate('killed', `${m.place.path} did not stop in its time`)))
      this.on.stuck(m);
  }

  /** Says beforehand which actors their threads may restart by themselves. */
  private grantAll(): void {
    if (this.halted || this.starting !== undefined) return;
    clearTimeout(this.granting);
    const nowMs = Date.now();
    const settings = { seed: this.seed };
    for (const m of this.population.members) {
      const { path } = m.place;
      const may =
        m.state === 'running' && comesBackAlone(this.tree, this.history, path, nowMs, settings);
      this.population.grant(m, may);
    }
    const againMs = forgetsAtMs(this.tree, this.history, nowMs, settings);
    if (againMs === undefined) return;
    this.granting = setTimeout(() => this.grantAll(), againMs - nowMs).unref();
  }

  private async carryOut(plan: Plan, reason: Reason, dead: readonly Member[]): Promise<void> {
    const find = (paths: readonly string[]): Member[] => paths.map((p) => this.byPath.get(p)!);
    for (const path of plan.escalated) this.on.report({ kind: 'escalated', path });
    const stopped = find(plan.stop).filter((m) => m.state === 'running');
    for (const m of stopped) await this.end(m);
    const gone = find(plan.gone);
    for (const m of gone) {
      this.wanted.delete(m);
      m.state = isFailure(reason) ? 'failed' : 'stopped';
      this.on.unread(m, this.population.end(m, true));
      this.on.report({ kind: 'ended', path: m.place.path, reason });
    }
    const notBeforeMs = performance.now() + plan.delayMs;
    for (const m of find(plan.start)) this.wanted.set(m, notBeforeMs);
    await this.clear([...dead, ...stopped, ...gone], plan.escalated.length > 0);
    if (plan.system === 'goes on') return;
    this.halted = true;
    this.on.end(plan.system);
  }

  /**
   * Ends threads on which no actor lives or is about to. After an escalation those who are about to get new threads: where
   * new states did not help, new threads may.
   */
  private async clear(members: readonly Member[], escalated: boolean): Promise<void> {
    for (const thread of new Set(members.map((m) => this.population.thread(m)))) {
      if (thread === undefined || !thread.alive()) continue;
      const inside = this.population.residents(thread.index);
      if (inside.some((m) => isAlive(m) || (!escalated && this.wanted.has(m)))) continue;
      if (!(await thread.terminate('asked'))) this.on.stuck(inside[0]!);
    }
  }

  /** Members of one group start one after the other: a child of the root, or the actors of a thread. */
  private group(m: Member): string {
    if (this.starting !== undefined || this.strategy !== 'one_for_one') return '';
    const [top, ...below] = m.place.path.split('.');
    return below.length === 0 ? `thread ${m.place.thread}` : top!;
  }

  /** Starts what is due, one at a time in each group. */
  private startDue(): void {
    const nowMs = performance.now();
    for (const m of this.population.members) {
      const notBeforeMs = this.wanted.get(m);
      const key = this.group(m);
      if (notBeforeMs === undefined || notBeforeMs > nowMs || this.busy.has(key)) continue;
      this.wanted.delete(m);
      const work = this.start(m).finally(() => {
        this.busy.delete(key);
        this.wake();
      });
      this.busy.set(key, work);
    }
  }

  private async start(m: Member): Promise<void> {
    const again = this.starting === undefined;
    try {
      if (!(await this.population.start(m))) return;
    } catch (error) {
      await this.failed(m, error as Error);
      return;
    }
    this.started(m, again);
    if (again) this.population.fillSpares();
  }

  private started(m: Member, again: boolean): void {
    const { path } = m.place;
    this.on.report({ kind: 'started', path, incarnation: this.population.incarnation(m) });
    if (again) this.on.report({ kind: 'restarted', path, restarts: ++m.restarts });
  }

  /** A start that failed is a crash, of everything that lives on the thread. */
  private async failed(m: Member, error: Error): Promise<void> {
    this.starting?.fail(error);
    if (m.state !== 'starting') return; // its thread died, which was noticed
    const { index: actor, path, thread: index } = m.place;
    const { message, stack = '' } = error;
    const reason = crashReason(error);
    const crash = { actor, path, reason, kind: 'start', error: message, stack, trace: '' };
    this.on.report({ kind: 'crash', crash, atMs: Date.now() });
    const thread = this.population.thread(m);
    this.died(
      this.population.residents(index).filter((r) => r === m || r.state === 'running'),
      reason,
    );
    if (thread !== undefined && !(await thread.terminate('asked'))) this.on.stuck(m);
  }
}
