/** What the actors of a thread need of it: the register, and the way to the main thread. */
import { unixMs } from '#native/clock.ts';
import { isDiskRefusal } from '#native/disk.ts';
import type { SlabPool } from '#native/lanes/slab.ts';
import type { LogFields, LogLevel, SystemEvent } from '../actor.ts';
import { type Dump, dumpOf } from '../flight/report.ts';
import { isOpen, openAsksOf } from '../mailbox/asks.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import type { Publishable } from '../mailbox/receipts.ts';
import type { Place } from '../system/directory.ts';
import type { Crash, DeadReason, Seed, ThreadEvent } from '../system/thread.ts';
import type { Sight } from '../trace/sight.ts';
import type { Machine, Shell } from './shell.ts';

/** A question as it is known to both ends. */
export type Question = {
  readonly from: number;
  readonly incarnation: number;
  readonly ask: number;
};

/** What an actor needs of the thread that it lives on. */
export type Host = {
  readonly pool: SlabPool;
  readonly sight: Sight;
  /** Messages that the flight recorder of each actor keeps. */
  readonly flightMessages: number;
  /** A lane, or a confirmation, has something unpublished. */
  touch(what: Publishable): void;
  /** Run when the current work is done, at the latest in the next turn of the event loop. */
  soon(): void;
  random(): number;
  incarnation(actor: number): number;
  gone(actor: number): boolean;
  /** The asker of this question is the same as then, and waits for an answer. */
  waits(asked: Question): boolean;
  /** The asker is the same as then, and has given it up. */
  givenUp(from: number, incarnation: number, ask: number): boolean;
  /** Something has changed that this thread looks at when the register has moved. */
  stir(thread: number): void;
  /** `peer` is an address, or '#' and the index of an actor. */
  dead(mailbox: Mailbox, reason: DeadReason, peer: string, kind: string): void;
  signal(mailbox: Mailbox, event: SystemEvent): void;
  log(mailbox: Mailbox, level: LogLevel, text: string, fields?: LogFields): void;
  crash(mailbox: Mailbox, kind: string, error: unknown): void;
};

/** Error and stack of whatever was thrown. */
export const thrown = (error: unknown): { readonly error: string; readonly stack: string } =>
  error instanceof Error
    ? { error: error.message, stack: error.stack ?? '' }
    : { error: String(error), stack: '' };

/** What an error that ended an actor means for its supervisor. */
export const crashReason = (error: unknown): Crash['reason'] =>
  isDiskRefusal(error) ? 'no-room' : 'crash';

/**
 * Random 32-bit words for trace and span ids: xorshift128. The seed is the main thread's: to load a source of randomness costs
 * a new thread milliseconds.
 */
const randomWords = ([a, b, c, d]: Seed): (() => number) => {
  let [x, y, z, w] = [a | 1, b, c, d];
  return () => {
    const t = x ^ (x << 11);
    x = y;
    y = z;
    z = w;
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8);
    return w;
  };
};

/** What is told of a crash: made when it is wanted, because that takes longer than a restart. */
export type Fall = {
  readonly reason: Crash['reason'];
  readonly crash: () => Crash;
  readonly dump: () => Dump | undefined;
};

/** Dead letters that a thread tells one by one in a second; all of them are counted. */
const LETTERS_A_SECOND = 100;
const limiter = (): ((atMs: number) => boolean) => {
  let second = 0;
  let told = 0;
  return (atMs) => {
    const now = Math.floor(atMs / 1000);
    if (now !== second) told = 0;
    second = now;
    return ++told <= LETTERS_A_SECOND;
  };
};

/** `shell` is asked for when it is needed: it is made with the host. */
export const hostOf = (
  shell: () => Shell,
  machine: Machine & Pick<Host, 'sight' | 'flightMessages'>,
  {
    places,
    seed,
    openAsks,
  }: {
    readonly places: readonly Place[];
    readonly seed: Seed;
    readonly openAsks: SharedArrayBuffer;
  },
  outside: {
    readonly post: (event: ThreadEvent) => void;
    readonly fallen: (mailbox: Mailbox, fall: Fall) => void;
  },
): Host => {
  const { register, pool, wakers, sight, flightMessages } = machine;
  const tables = places.map((_, actor) => openAsksOf(openAsks, actor));
  const allowed = limiter();
  const named = (peer: string): string =>
    peer.startsWith('#') ? (places[Number(peer.slice(1))]?.path ?? peer) : peer;
  return {
    pool,
    sight,
    flightMessages,
    touch: (what) => shell().touch(what),
    soon: () => shell().soon(),
    random: randomWords(seed),
    incarnation: (actor) => register.incarnation(actor),
    gone: (actor) => register.life(actor) === 'gone',
    waits: ({ from, incarnation, ask }) =>
      register.incarnation(from) === incarnation && isOpen(tables[from]!, ask),
    givenUp: (from, incarnation, ask) =>
      register.incarnation(from) === incarnation && !isOpen(tables[from]!, ask),
    stir: (thread) => {
      register.stir();
      wakers.wake(thread);
    },
    dead: (mailbox, reason, peer, kind) => {
      mailbox.metrics.count(`dead_letters:${reason}`, 1);
      const atMs = unixMs();
      if (!allowed(atMs)) return; // counted all the same
      const { path, out } = mailbox;
      const letter = { atMs, reason, path, peer: named(peer), kind, trace: out.traceId() };
      outside.post({ kind: 'dead', letter });
    },
    signal: ({ index: actor }, event) =>
      outside.post({ kind: 'signal', actor, event, atMs: unixMs() }),
    log: ({ path }, level, text, fields = {}) =>
      outside.post({ kind: 'log', path, level, text, fields, atMs: unixMs() }),
    crash: (mailbox: Mailbox, kind, error) => {
      if (mailbox.closed || shell().stopped) return;
      const { index: actor, path } = mailbox;
      const reason = crashReason(error);
      const trace = mailbox.out.traceId();
      const dump = (): Dump | undefined => dumpOf(mailbox, kind, error);
      // Views of slabs in the message in hand are over with its step.
      const early = pool.viewed.length > 0 ? { dump: dump() } : undefined;
      outside.fallen(mailbox, {
        reason,
        crash: () => ({ ...{ actor, path, reason, kind, trace }, ...thrown(error) }),
        dump: () => (early === undefined ? dump() : early.dump),
      });
    },
  };
};
