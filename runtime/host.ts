/** What the actors of a thread need of it: the register, and the way to the main thread. */
import { unixMs } from '#native/clock.ts';
import type { Lane } from '#native/lanes/lane.ts';
import type { Register } from '#native/lanes/register.ts';
import type { SlabPool } from '#native/lanes/slab.ts';
import type { LogFields, LogLevel, SystemEvent } from './actor.ts';
import type { Place } from './directory.ts';
import { dumpOf } from './flight/report.ts';
import type { Mailbox } from './mailbox.ts';
import type { Shell } from './shell.ts';
import type { DeadReason, ThreadEvent } from './thread.ts';
import type { Sight } from './trace/sight.ts';

/** What an actor needs of the thread that it lives on. */
export type Host = {
  readonly pool: SlabPool;
  readonly sight: Sight;
  /** Messages that the flight recorder of each actor keeps. */
  readonly flightMessages: number;
  /** The lane has something unpublished. */
  touch(lane: Lane): void;
  /** Run when the current work is done, at the latest in the next turn of the event loop. */
  soon(): void;
  random(): number;
  incarnation(actor: number): number;
  gone(actor: number): boolean;
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

/** Random 32-bit words for trace and span ids: xorshift128, seeded once a thread. */
const randomWords = (): (() => number) => {
  const [a, b, c, d] = crypto.getRandomValues(new Int32Array(4));
  let [x, y, z, w] = [a! | 1, b!, c!, d!];
  return () => {
    const t = x ^ (x << 11);
    x = y;
    y = z;
    z = w;
    w = w ^ (w >>> 19) ^ t ^ (t >>> 8);
    return w;
  };
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
  machine: {
    readonly register: Register;
    readonly pool: SlabPool;
    readonly sight: Sight;
    readonly flightMessages: number;
  },
  places: readonly Place[],
  outside: { readonly post: (event: ThreadEvent) => void; readonly exit: () => void },
): Host => {
  const { register, pool, sight, flightMessages } = machine;
  const allowed = limiter();
  const named = (peer: string): string =>
    peer.startsWith('#') ? (places[Number(peer.slice(1))]?.path ?? peer) : peer;
  return {
    pool,
    sight,
    flightMessages,
    touch: (lane) => shell().touch(lane),
    soon: () => shell().soon(),
    random: randomWords(),
    incarnation: (actor) => register.incarnation(actor),
    gone: (actor) => register.life(actor) === 'gone',
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
      shell().stop();
      const { index: actor, path, out } = mailbox;
      const crash = { actor, path, kind, ...thrown(error), trace: out.traceId() };
      outside.post({ kind: 'crash', crash, dump: dumpOf(mailbox, kind, error) });
      outside.exit();
    },
  };
};
