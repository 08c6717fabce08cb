/**
 * The inside of an actor thread: loads modules, connects lanes, opens and closes actors, and reports to the main
 * thread. `worker.ts` binds it to a real thread.
 */
import { mkdirSync } from 'node:fs';
import { unixMs } from '#native/clock.ts';
import { openCustody } from '#native/custody.ts';
import { isQuestion } from '#native/lanes/fields.ts';
import { Lane } from '#native/lanes/lane.ts';
import { openRegister } from '#native/lanes/register.ts';
import { SlabPool } from '#native/lanes/slab.ts';
import { openWakers } from '#native/lanes/wakers.ts';
import type { Actor, IoAdapter } from './actor.ts';
import { type Host, Mailbox } from './mailbox.ts';
import { type MetricsWriter, writeMetrics } from './metrics.ts';
import { portOf } from './port.ts';
import { type OutLane, Routes } from './routes.ts';
import { Shell } from './shell.ts';
import type {
  Beat,
  Link,
  MainControl,
  Resident,
  Sending,
  ThreadControl,
  ThreadEvent,
  ThreadSetup,
} from './thread.ts';

type Loaded = {
  readonly resident: Resident;
  readonly actor: Actor;
  readonly metrics: MetricsWriter;
};

const stackOf = (error: unknown): { error: string; stack: string } =>
  error instanceof Error
    ? { error: error.message, stack: error.stack ?? '' }
    : { error: String(error), stack: '' };

const sendingsOf = (loaded: Loaded): Sending[] => {
  const { sends } = loaded.actor;
  const addresses = typeof sends === 'function' ? sends(loaded.resident.config) : sends;
  return addresses.map((to) => ({
    from: loaded.resident.index,
    actor: to.name,
    ...(to.branch === undefined ? {} : { branch: to.branch }),
    answers: Object.values(to.declaration).some(isQuestion),
  }));
};

/** Random 32-bit words, never all zero in a row: xorshift32, seeded once a thread. */
const randomWords = (): (() => number) => {
  let x = (crypto.getRandomValues(new Int32Array(1))[0]! || 1) | 0;
  return () => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return x;
  };
};

export const residence = (
  setup: ThreadSetup,
  main: MainControl,
  outside: { readonly post: (event: ThreadEvent) => void; readonly exit: () => void },
): ThreadControl => {
  const wakers = openWakers(setup.wakers);
  const register = openRegister(setup.register);
  const pool = new SlabPool(setup.arena, setup.thread, wakers);
  const custody = openCustody(setup.custody, setup.thread);
  const loaded = new Map<number, Loaded>();
  const open = new Map<number, Mailbox>();
  let links: readonly Link[] = [];

  const crash = (mailbox: Mailbox, kind: string, error: unknown): void => {
    if (mailbox.closed || shell.stopped) return;
    shell.stop();
    const { index: actor, path } = mailbox;
    outside.post({ kind: 'crash', crash: { actor, path, kind, ...stackOf(error) } });
    outside.exit();
  };
  const shell = new Shell(
    { thread: setup.thread, cores: setup.cores, spinUs: setup.spinUs },
    { wakers, register, pool },
    {
      crash: (mailbox, error) => crash(mailbox, mailbox.kind, error),
      ending: (mailbox) => void end(mailbox),
    },
  );
  const host: Host = {
    pool,
    touch: (lane) => shell.touch(lane),
    soon: () => shell.soon(),
    random: randomWords(),
    incarnation: (actor) => register.incarnation(actor),
    gone: (actor) => register.life(actor) === 'gone',
    dead: (mailbox, reason, peer, kind) => {
      mailbox.metrics.count(`dead_letters:${reason}`, 1);
      const letter = { atMs: unixMs(), reason, path: mailbox.path, peer: named(peer), kind };
      outside.post({ kind: 'dead', letter });
    },
    signal: ({ index: actor }, event) =>
      outside.post({ kind: 'signal', actor, event, atMs: unixMs() }),
    log: ({ path }, level, text, fields = {}) =>
      outside.post({ kind: 'log', path, level, text, fields, atMs: unixMs() }),
    crash,
  };
  /** '#3' is the actor with index 3. */
  const named = (peer: string): string =>
    peer.startsWith('#') ? (setup.places[Number(peer.slice(1))]?.path ?? peer) : peer;

  const close = async (mailbox: Mailbox): Promise<void> => {
    shell.remove(mailbox);
    open.delete(mailbox.index);
    mailbox.close();
    await mailbox.adapter?.close?.();
  };
  const end = async (mailbox: Mailbox): Promise<void> => {
    const { reason, text } = mailbox.ending!;
    if (!open.has(mailbox.index)) return;
    try {
      await close(mailbox);
    } catch (error) {
      host.log(mailbox, 'error', 'closing failed', stackOf(error));
    }
    outside.post({ kind: 'ended', actor: mailbox.index, reason, text });
  };
  const connectMailbox = ({ resident, actor, metrics }: Loaded): Mailbox => {
    const { index } = resident;
    const { path } = setup.places[index]!;
    const threadOf = (k: number): number => setup.places[k]!.thread;
    const lane = (l: Link): Lane =>
      new Lane(
        l.memory,
        { index: l.from, from: threadOf(l.from), to: threadOf(l.to) },
        wakers,
        pool,
        l.depthMax,
      );
    const out = new Map<number, OutLane>();
    for (const l of links) {
      if (l.from !== index) continue;
      const own = lane(l);
      own.resume();
      out.set(l.to, { lane: own, onFull: l.onFull, answersOnly: l.answersOnly });
    }
    const inputs = links.filter((l) => l.to === index).map(lane);
    const state = actor.core.init(resident.config);
    const place = { index, path, incarnation: register.incarnation(index) };
    const routes = new Routes(setup.places, path, register, out);
    return new Mailbox(host, place, actor, state, { routes, inputs, metrics });
  };
  const openActor = async (actor: number): Promise<void> => {
    const entry = loaded.get(actor)!;
    const mailbox = connectMailbox(entry);
    open.set(actor, mailbox);
    const { io, core } = entry.actor;
    if (io !== undefined) {
      const { config, dataDir } = entry.resident;
      mkdirSync(dataDir, { recursive: true, mode: 0o700 });
      const port = portOf(mailbox, dataDir, { node: setup.node, custody, main });
      mailbox.adapter = (await io(config, port)) as IoAdapter<Record<string, unknown>>;
    }
    shell.enter(mailbox, 'start', () => core.start?.(mailbox.state, mailbox, mailbox.atMs));
    if (!mailbox.closed) shell.add(mailbox);
  };
  const beat = (startMs: number): Beat => ({
    lagMs: performance.now() - startMs,
    heapBytes: process.memoryUsage().heapUsed,
    arrayBufferBytes: process.memoryUsage().arrayBuffers,
    suspended: [...open.values()].flatMap((m) => {
      const lane = m.held.first();
      if (lane === undefined) return [];
      const link = links.find((l) => l.memory === lane.control.buffer);
      const on = lane.starved ? -1 : (link?.to ?? -1);
      return [{ actor: m.index, on, forMs: performance.now() - m.held.sinceMs }];
    }),
    openAsks: [...open.values()].reduce((n, m) => n + m.asks.open, 0),
  });

  return {
    load: async () => {
      const entries = await Promise.all(
        setup.residents.map(async (resident): Promise<Loaded> => {
          const module = (await import(resident.module)) as { readonly default: Actor };
          return { resident, actor: module.default, metrics: writeMetrics(resident.metrics) };
        }),
      );
      for (const entry of entries) loaded.set(entry.resident.index, entry);
      return entries.flatMap(sendingsOf);
    },
    connect: (given) => {
      links = given;
    },
    open: openActor,
    drain: (actor) => {
      const mailbox = open.get(actor);
      const drain = mailbox?.actor.core.drain;
      if (mailbox === undefined || drain === undefined) return false;
      setImmediate(() => {
        try {
          shell.enter(mailbox, 'drain', () => drain(mailbox.state, mailbox, mailbox.atMs));
        } catch (error) {
          crash(mailbox, 'drain', error);
        }
      });
      return true;
    },
    close: async (actor) => {
      const mailbox = open.get(actor);
      if (mailbox !== undefined) await close(mailbox);
    },
    relieve: (actor) => open.get(actor)?.held.discard() ?? 0,
    ping: () =>
      new Promise<Beat>((resolve) => {
        const startMs = performance.now();
        setImmediate(() => resolve(beat(startMs)));
      }),
  };
};
