/** A running system: starts it, shows it, stops it. Everything here lives on the main thread. */
import { type Observable, Subject } from 'rxjs';
import { unixMs } from '#native/clock.ts';
import { unreachable } from '#proto/result.ts';
import type { LogLevel, SystemEvent, TreeNode } from './actor.ts';
import { type ControlServer, serveControl } from './control/control.ts';
import { type Inside, insideOf } from './control/inside.ts';
import type { DeadLetters, Notice, RuntimeEvent } from './events.ts';
import type { Dump } from './flight/report.ts';
import { openWitness, type Witness } from './flight/witness.ts';
import { readMetrics } from './metrics/metrics.ts';
import { deadLettersOf, type MetricsSnapshot, numbersOf, treeOf } from './metrics/numbers.ts';
import { prometheusText } from './metrics/prometheus.ts';
import type { Snapshot } from './metrics/snapshot.ts';
import { openTelemetry, type Telemetry } from './metrics/telemetry.ts';
import { openPool } from './pool.ts';
import { SHUTDOWN_PHASES, type SystemSpec } from './spec.ts';
import { type Member, Population } from './system/population.ts';
import { type Facts, openRecord } from './system/record.ts';
import { type ShutdownReport, shutDown } from './system/shutdown.ts';
import { Supervision } from './system/supervision.ts';
import type { Crash, CrashOutcome, ThreadEvent } from './system/thread.ts';
import type { End, Thread, ThreadExit } from './system/threads.ts';
import { SILENT_MS, type Watchdog, watchOver } from './system/watchdog.ts';
import { widenYoungHeaps } from './thread/heaps.ts';
import { withDeadline } from './thread/port.ts';

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
  /** Traces, live tables and OTP's sys verbs. */
  readonly inside: Inside;
  /** Terminates the thread of an actor from outside, as a crash would; its supervisor restarts it. */
  kill(path: string): Promise<void>;
  /** Coordinated shutdown, within ten seconds by default; the same promise for every caller. */
  stop(): Promise<Stopped>;
  /** Resolves when the system has stopped, for whatever reason. */
  readonly whenStopped: Promise<Stopped>;
};

/**
 * Rejects when an actor does not start; nothing of the system is left then. `watch` sees every event from the first
 * on; `system.events` those after the start.
 */
export const startSystem = async (
  spec: SystemSpec,
  watch: (event: RuntimeEvent) => void = () => {},
): Promise<System> => {
  widenYoungHeaps();
  const running = new Running(spec);
  running.events.subscribe(watch);
  try {
    await running.start();
  } catch (error) {
    await running.abandon();
    throw error;
  }
  return running.system();
};

/** What supervision may take to come to rest at a shutdown. */
const HALT_MS = 2000;

class Running {
  readonly events = new Subject<RuntimeEvent>();
  private readonly spec: SystemSpec;
  private readonly record = openRecord();
  private readonly pool = openPool();
  private readonly population: Population;
  private readonly supervision: Supervision;
  private readonly watchdog: Watchdog;
  private readonly witness: Witness;
  private readonly inside: Inside;
  private readonly telemetry: Telemetry;
  private control: ControlServer | undefined;
  /** Who waits for the end of an actor that drains. */
  private readonly draining = new Map<Member, () => void>();
  /** Threads whose crash has been reported by themselves, and of what kind it was. */
  private readonly reported = new Map<number, Crash['reason']>();
  /** Messages that nobody will read: their receiver has ended for good. */
  private unreadCount = 0;
  private stopping: Promise<Stopped> | undefined;
  /**
   * What was under way to an actor that ends in the shutdown is no dead letter: what must not be lost is durable or read
   * again by the next start.
   */
  private lettersAtStop: DeadLetters | undefined;
  private settle: (stopped: Stopped) => void = () => {};
  private readonly whenStopped: Promise<Stopped>;

  constructor(spec: SystemSpec) {
    this.spec = spec;
    this.whenStopped = new Promise((resolve) => {
      this.settle = resolve;
    });
    const main = {
      tree: async () => this.tree(),
      metrics: async () => this.metricsText(),
      notices: async () => this.record.notices(),
      pool: (module: string, task: string, argument: unknown) =>
        this.pool.run(module, task, argument),
    };
    this.population = new Population(spec, main, {
      event: (event) => this.onThread(event),
      exit: (thread, exit) => this.onExit(thread, exit),
      broken: (error) => this.log('warn', `no spare threads any more: ${error.message}`),
    });
    this.witness = openWitness(spec.node, spec.seed ?? 1, (path, { level, text }) =>
      this.log(level, text, path),
    );
    this.supervision = new Supervision(spec.root, this.population, spec.seed ?? 1, {
      report: (event) => this.report(event),
      unread: (member, count) => this.unread(member, count),
      stuck: (member) => this.stuck(member.place.thread),
      end: (outcome) => void this.stop(outcome),
    });
    const limits = { silentMs: spec.silentMs ?? SILENT_MS, offHeapMb: spec.offHeapMb };
    this.watchdog = watchOver(this.population, limits, {
      faulty: (thread, text, stack) => void this.terminate(thread, 'faulty', text, stack),
      circle: (members, discarded) => {
        const paths = members.map((m) => m.place.path);
        this.report({ kind: 'deadlock', paths, discarded });
      },
    });
    this.telemetry = openTelemetry(spec, this.population.sightings, this.witness);
    this.inside = insideOf({
      population: this.population,
      settings: spec.settings ?? [],
      beats: () => this.watchdog.beats(),
      restart: (member) => this.supervision.restart(member),
      terminate: (thread) => this.terminate(thread, 'killed'),
      told: (member, text) => {
        const notice = `${member.place.path} ${text}`;
        this.onSignal(member, { kind: 'notice', topic: 'operator', text: notice }, unixMs());
      },
    });
  }

  async start(): Promise<void> {
    this.telemetry.start(
      () => this.metrics(),
      (level, text) => this.log(level, text),
    );
    await this.population.load();
    for (const missing of this.population.unresolved) {
      this.log('warn', `address finds nobody: ${missing}`);
    }
    const { controlSocket = true, node } = this.spec;
    if (controlSocket) this.control = await serveControl(node, this.system());
    await this.supervision.startAll();
  }

  /** The start has failed: ends what there is. */
  async abandon(): Promise<void> {
    await this.supervision.halt();
    await Promise.all(this.population.threads().map((t) => this.terminate(t, 'asked')));
    await this.release();
    this.events.complete();
  }

  system(): System {
    const { record } = this;
    return {
      events: this.events,
      tree: () => this.tree(),
      metrics: () => this.metrics(),
      metricsText: () => this.metricsText(),
      snapshot: () => this.snapshot(),
      facts: record.facts,
      notices: record.notices,
      deadLetters: () => this.deadLetters(),
      inside: this.inside,
      kill: (path) => this.kill(path),
      stop: () => this.stop('asked'),
      whenStopped: this.whenStopped,
    };
  }

  private tree(): TreeNode {
    return treeOf(this.population, this.record.facts(), this.spec.root);
  }

  private metrics(): MetricsSnapshot {
    const actors = this.population.members.map((m) => numbersOf(this.population, m));
    const threads = [...this.watchdog.beats()].map(([thread, beat]) => ({ thread, ...beat }));
    const { population } = this;
    const [sparesReady, slabsFree] = [population.sparesReady(), population.slabsFree()];
    const runtime = this.telemetry.numbers();
    return { actors, threads, deadLetters: this.deadLetters(), sparesReady, slabsFree, runtime };
  }

  private deadLetters(): DeadLetters {
    return this.lettersAtStop ?? this.countedLetters();
  }

  private countedLetters(): DeadLetters {
    return deadLettersOf(this.population, this.unreadCount, this.record.letters());
  }

  private metricsText(): string {
    return prometheusText(this.metrics());
  }

  private snapshot(): Snapshot {
    const readings = this.population.members.map(({ place: { path, actor }, metrics }) => ({
      path,
      actor,
      metrics: readMetrics(metrics),
    }));
    const { record } = this;
    const deadLetters = this.deadLetters();
    return { atMs: unixMs(), tree: this.tree(), readings, deadLetters, notices: record.notices() };
  }

  private report(event: RuntimeEvent): void {
    this.events.next(event);
  }

  private log(level: LogLevel, text: string, path = ''): void {
    this.report({ kind: 'log', path, level, text, fields: {}, atMs: unixMs() });
  }

  private onThread(event: ThreadEvent): void {
    switch (event.kind) {
      case 'crash':
        return this.onCrash(event.crash, event.outcome, event.dump);
      case 'restarted':
        return this.supervision.returned(this.population.members[event.actor]!);
      case 'ended': {
        const member = this.population.members[event.actor]!;
        const drained = this.draining.get(member);
        if (drained === undefined) this.supervision.died([member], event.reason);
        else drained();
        return;
      }
      case 'signal':
        return this.onSignal(this.population.members[event.actor]!, event.event, event.atMs);
      case 'log':
        this.witness.log(event);
        return this.report(event);
      case 'dumped':
        return this.witness.crashed(event.crash, event.dump, unixMs());
      case 'dead':
        this.record.letter(event.letter);
        this.watchdog.sweep(); // slabs of what was not even read
        return this.report(event);
      case 'tapped':
        return this.population.sightings.tapped(event.line);
      default:
        return unreachable(event);
    }
  }

  private onSignal({ place: { path } }: Member, event: SystemEvent, atMs: number): void {
    if (event.kind === 'fact') this.record.fact(path, event.name, event.value);
    if (event.kind === 'notice') {
      const { topic, text } = event;
      this.record.notice({ atMs, path, topic, text });
      this.witness.log({ path, atMs, level: 'info', text, fields: { topic } });
    }
    this.report({ kind: 'signal', path, event, atMs });
  }

  private onCrash(crash: Crash, outcome: CrashOutcome, dump: Dump | undefined): void {
    const member = this.population.members[crash.actor]!;
    // What ends its thread has been witnessed as the crash before it, or as a start that failed; a full disk has no room.
    if (outcome !== 'ends' && crash.reason !== 'no-room') {
      this.witness.crashed(crash, dump, unixMs());
    }
    this.report({ kind: 'crash', crash, atMs: unixMs() });
    this.watchdog.sweep();
    switch (outcome) {
      case 'restarts':
        return this.supervision.returns(member);
      case 'waits':
        return this.supervision.died([member], crash.reason);
      case 'ends': // its exit follows
        this.reported.set(member.place.thread, crash.reason);
        return;
      default:
        return unreachable(outcome);
    }
  }

  private onExit(thread: Thread, exit: ThreadExit): void {
    this.population.bury(thread.index, exit.why);
    this.watchdog.sweep();
    const inside = this.population
      .residents(thread.index)
      .filter((m) => m.state === 'running' || m.state === 'starting');
    const known = this.reported.get(thread.index);
    this.reported.delete(thread.index);
    if (exit.why === 'asked' || inside.length === 0) return;
    if (known === undefined) {
      const { index: actor, path } = inside[0]!.place;
      const { reason, stack } = exit;
      const error = exit.error === '' ? 'the thread was terminated' : exit.error;
      const crash = { actor, path, reason, kind: 'thread', error, stack, trace: '' };
      this.witness.crashed(crash, undefined, unixMs());
      this.report({ kind: 'crash', crash, atMs: unixMs() });
    }
    this.supervision.died(inside, known ?? exit.reason);
  }

  private unread({ place: { path } }: Member, count: number): void {
    if (count === 0) return;
    const from = { atMs: unixMs(), path, peer: path, kind: `${count} unread`, trace: '' };
    const letter = { ...from, reason: 'actor-stopped' as const };
    this.unreadCount += count;
    this.record.letter(letter);
    this.report({ kind: 'dead', letter });
  }

  private stuck(thread: number): void {
    const paths = this.population.residents(thread).map((m) => m.place.path);
    this.report({ kind: 'stuck', thread, paths });
  }

  private async terminate(thread: Thread, why: End, text = '', stack = ''): Promise<void> {
    if (!(await thread.terminate(why, text, stack))) this.stuck(thread.index);
  }

  private async kill(path: string): Promise<void> {
    const member = this.population.members.find((m) => m.place.path === path);
    if (member === undefined) throw new RangeError(`no actor ${path}`);
    const thread = this.population.thread(member);
    if (thread !== undefined) await this.terminate(thread, 'killed');
  }

  private stop(reason: Stopped['reason']): Promise<Stopped> {
    this.stopping ??= this.stopNow(reason);
    return this.stopping;
  }

  private async stopNow(reason: Stopped['reason']): Promise<Stopped> {
    const beganMs = performance.now();
    // A start that is under way is not waited for much longer: its thread is terminated.
    await withDeadline(this.supervision.halt(), HALT_MS, 'halt').catch(() => {});
    this.lettersAtStop = this.countedLetters();
    const { shutdown: phases = SHUTDOWN_PHASES } = this.spec;
    const shutdown = await shutDown(this.population, beganMs, phases, {
      report: (event) => this.report(event),
      ended: (member) =>
        new Promise((done) => {
          this.draining.set(member, done);
        }),
    });
    await this.release();
    const stopped = { ...shutdown, reason };
    this.settle(stopped);
    this.events.complete();
    return stopped;
  }

  private async release(): Promise<void> {
    this.watchdog.stop();
    await this.telemetry.close();
    this.population.sightings.close();
    await this.control?.close();
    await this.pool.close();
    await this.population.closeSpares();
    await this.witness.settled();
  }
}
