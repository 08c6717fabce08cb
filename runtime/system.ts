/** A running system: starts it, shows it, stops it. Everything here lives on the main thread. */
import { availableParallelism } from 'node:os';
import { type Observable, Subject } from 'rxjs';
import { unixMs } from '#native/clock.ts';
import { unreachable } from '#proto/result.ts';
import type { TreeNode } from './actor.ts';
import { type ControlServer, serveControl } from './control.ts';
import type { DeadLetters, Notice, RuntimeEvent } from './events.ts';
import { readMetrics } from './metrics.ts';
import { type MetricsSnapshot, numbersOf, treeOf } from './numbers.ts';
import { openPool } from './pool.ts';
import { type Member, type Population, populate } from './population.ts';
import { prometheusText } from './prometheus.ts';
import { type Facts, openRecord } from './record.ts';
import { type ShutdownReport, shutDown } from './shutdown.ts';
import type { Snapshot } from './snapshot.ts';
import type { SystemSpec } from './spec.ts';
import { superviseWith } from './supervision.ts';
import type { MainControl, ThreadEvent } from './thread.ts';
import type { Thread, ThreadExit } from './threads.ts';
import { SILENT_MS, watchOver } from './watchdog.ts';

/** Why a system stopped, and how. failed: its root supervisor gave up. */
export type Stopped = ShutdownReport & { readonly reason: 'asked' | 'shutdown' | 'failed' };

export type System = {
  readonly events: Observable<RuntimeEvent>;
  tree(): TreeNode;
  /** Numbers of every actor. */
  metrics(): MetricsSnapshot;
  /** The same in Prometheus text format 0.0.4. */
  metricsText(): string;
  /** What the report and the live view show. */
  snapshot(): Snapshot;
  facts(): Facts;
  notices(): readonly Notice[];
  deadLetters(): DeadLetters;
  /** Terminates the thread of an actor from outside, as a crash would; its supervisor restarts it. */
  kill(path: string): Promise<void>;
  /** Coordinated shutdown within ten seconds; the same promise for every caller. */
  stop(): Promise<Stopped>;
  /** Resolves when the system has stopped, for whatever reason. */
  readonly whenStopped: Promise<Stopped>;
};

/** Rejects when an actor does not start; nothing of the system is left then. */
export const startSystem = async (
  spec: SystemSpec,
  watch: (event: RuntimeEvent) => void = () => {},
): Promise<System> => {
  const running = assemble(spec);
  running.events.subscribe(watch);
  try {
    await running.start();
    return running.system;
  } catch (error) {
    await running.abandon();
    throw error;
  }
};

const assemble = (spec: SystemSpec) => {
  const events = new Subject<RuntimeEvent>();
  const record = openRecord();
  const pool = openPool();
  const cores = availableParallelism();
  const waiting = new Map<Member, () => void>();
  let settle: (stopped: Stopped) => void = () => {};
  const whenStopped = new Promise<Stopped>((resolve) => {
    settle = resolve;
  });
  let stopping: Promise<Stopped> | undefined;
  let control: ControlServer | undefined;

  const report = (event: RuntimeEvent): void => events.next(event);
  const memberAt = (index: number): Member => population.members[index]!;

  const onThread = (event: ThreadEvent): void => {
    switch (event.kind) {
      case 'crash':
        report({ kind: 'crash', crash: event.crash, atMs: unixMs() });
        reported.add(memberAt(event.crash.actor).place.thread);
        return;
      case 'ended': {
        const member = memberAt(event.actor);
        const drained = waiting.get(member);
        if (drained !== undefined) drained();
        else supervision.died([member], event.reason);
        return;
      }
      case 'signal': {
        const { path } = memberAt(event.actor).place;
        const { event: said, atMs } = event;
        if (said.kind === 'fact') record.fact(path, said.name, said.value);
        if (said.kind === 'notice')
          record.notice({ atMs, path, topic: said.topic, text: said.text });
        report({ kind: 'signal', path, event: said, atMs });
        return;
      }
      case 'log':
        report(event);
        return;
      case 'dead':
        record.letter(event.letter);
        report(event);
        return;
      default:
        unreachable(event);
    }
  };

  /** Threads whose crash has been reported by themselves. */
  const reported = new Set<number>();
  const onExit = (thread: Thread, exit: ThreadExit): void => {
    population.bury(thread.index);
    watchdog.swept();
    const inside = population
      .residents(thread.index)
      .filter((m) => m.state === 'running' || m.state === 'starting');
    const known = reported.delete(thread.index);
    if (exit.expected || inside.length === 0) return;
    const { index: actor, path } = inside[0]!.place;
    if (!known) {
      const error = exit.error === '' ? 'the thread was terminated' : exit.error;
      const crash = { actor, path, kind: 'thread', error, stack: exit.stack };
      report({ kind: 'crash', crash, atMs: unixMs() });
    }
    supervision.died(inside, 'crash');
  };

  const tree = (): TreeNode => treeOf(population, record.facts(), spec.root);
  const metrics = (): MetricsSnapshot => ({
    actors: population.members.map((m) => numbersOf(population, m)),
    deadLetters: record.deadLetters(),
  });
  const metricsText = (): string => prometheusText(metrics());
  const main: MainControl = {
    tree: async () => tree(),
    metrics: async () => metricsText(),
    notices: async () => record.notices(),
    pool: (module, task, argument) => pool.run(module, task, argument),
  };
  const population: Population = populate(spec, cores, main, { event: onThread, exit: onExit });
  const stuck = (thread: number): void => {
    const paths = population.residents(thread).map((m) => m.place.path);
    report({ kind: 'stuck', thread, paths });
  };
  const unread = (member: Member, count: number): void => {
    if (count === 0) return;
    const { path } = member.place;
    const letter = { atMs: unixMs(), reason: 'actor-stopped', path, peer: path, kind: '' } as const;
    record.letter(letter, count);
    report({ kind: 'dead', letter });
  };
  const stop = (reason: Stopped['reason']): Promise<Stopped> => {
    stopping ??= stopNow(reason);
    return stopping;
  };
  const supervision = superviseWith(spec.root, population, spec.seed ?? 1, {
    report,
    unread,
    stuck: (member) => stuck(member.place.thread),
    end: (outcome) => void stop(outcome),
  });
  const watchdog = watchOver(population, spec.silentMs ?? SILENT_MS, {
    silent: (thread) => {
      void thread.terminate(false).then((ended) => {
        if (!ended) stuck(thread.index);
      });
    },
    circle: (members, discarded) =>
      report({ kind: 'deadlock', paths: members.map((m) => m.place.path), discarded }),
  });

  const release = async (): Promise<void> => {
    watchdog.stop();
    await control?.close();
    await pool.close();
  };
  const stopNow = async (reason: Stopped['reason']): Promise<Stopped> => {
    await supervision.halt();
    const ended = (member: Member): Promise<void> =>
      new Promise((done) => {
        waiting.set(member, done);
      });
    const shutdown = await shutDown(population, { report, ended });
    await release();
    const stopped = { ...shutdown, reason };
    settle(stopped);
    events.complete();
    return stopped;
  };

  const system: System = {
    events,
    tree,
    metrics,
    metricsText,
    snapshot: () => ({
      atMs: unixMs(),
      tree: tree(),
      readings: population.members.map((m) => ({
        path: m.place.path,
        actor: m.place.actor,
        metrics: readMetrics(m.metrics),
      })),
      deadLetters: record.deadLetters(),
      notices: record.notices(),
    }),
    facts: record.facts,
    notices: record.notices,
    deadLetters: record.deadLetters,
    kill: async (path) => {
      const member = population.members.find((m) => m.place.path === path);
      if (member === undefined) throw new RangeError(`no actor ${path}`);
      const thread = population.thread(member);
      if (thread !== undefined && !(await thread.terminate(false))) stuck(thread.index);
    },
    stop: () => stop('asked'),
    whenStopped,
  };
  return {
    system,
    events,
    start: async () => {
      await population.load();
      for (const missing of population.unresolved()) {
        const fields = { missing };
        const text = `address finds nobody: ${missing}`;
        report({ kind: 'log', path: '', level: 'warn', text, fields, atMs: unixMs() });
      }
      if (spec.controlSocket !== false) control = await serveControl(spec.node.dataDir, system);
      await supervision.startAll();
    },
    abandon: async () => {
      await supervision.halt();
      await Promise.all(population.threads().map((t) => t.terminate(true)));
      await release();
      events.complete();
    },
  };
};
