/** Runs a core with the effects in a test's hands: a mailbox, timers and a clock, and no thread. */
import type { Core, IoCommands } from '#runtime/actor.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';

export type Asked = { readonly kind: string; readonly [field: string]: unknown };

/** What the world does with an effect; whatever is not named is ignored. */
export type Hands = {
  readonly ask: (message: Asked, resume: Asked) => void;
  readonly io: (command: string, argument: unknown) => void;
  readonly tell?: (to: string, message: Asked) => void;
  readonly reply?: (to: unknown, answer: unknown) => void;
  readonly emit?: (name: string, value: number) => void;
  /** A line for each message that the core receives (`> kind`) and for each effect that others see. */
  readonly trace?: (line: string) => void;
};

const lineOf = (one: Recorded): string | undefined => {
  const kind = (one.message as Asked | undefined)?.kind ?? '';
  switch (one.effect) {
    case 'ask':
    case 'tell':
      return `  ${one.effect} ${one.to} ${kind}`;
    case 'io':
      return `  io ${one.command}`;
    case 'reply':
      return '  reply';
    default:
      return undefined;
  }
};

export type Driver<Self> = {
  /** Unix milliseconds. */
  nowMs: number;
  /** Into the core's mailbox; worked off by the next `send`, `advance` or `settle`. */
  readonly deliver: (message: Self) => void;
  /** Answers an ask. */
  readonly answer: (resume: Asked, value: unknown) => void;
  readonly send: (message: Self) => void;
  /** Works until nothing is left to do now. */
  readonly settle: () => void;
  /** Moves the clock and fires what falls due, in order; `between` is called after each. */
  readonly advance: (ms: number, between?: () => void) => void;
};

type Timer<Self> = { readonly dueMs: number; readonly message: Self };
const ROUNDS_MAX = 10_000;

const timersOf = <Self>() => {
  const timers = new Map<string, Timer<Self>>();
  let free = 0;
  return {
    set: (key: unknown, timer: Timer<Self>): void => {
      timers.set(String(key ?? `free-${++free}`), timer);
    },
    cancel: (key: unknown): void => {
      timers.delete(String(key));
    },
    next: (untilMs: number): Timer<Self> | undefined => {
      const [first] = [...timers].sort(([, a], [, b]) => a.dueMs - b.dueMs);
      if (first === undefined || first[1].dueMs > untilMs) return undefined;
      timers.delete(first[0]);
      return first[1];
    },
  };
};

export const coreDriver = <
  Config,
  State,
  Self extends { readonly kind: string },
  Io extends IoCommands,
>(
  core: Core<Config, State, Self, Io>,
  state: State,
  hands: Hands,
  startMs: number,
): Driver<Self> => {
  const fx = recorder<Self, Io>(true);
  const inbox: Self[] = [];
  const timers = timersOf<Self>();
  const carryOut = (one: Recorded): void => {
    const line = lineOf(one);
    if (line !== undefined) hands.trace?.(line);
    if (one.effect === 'ask') hands.ask(one.message as Asked, one.resume as Asked);
    if (one.effect === 'io') hands.io(String(one.command), one.argument);
    if (one.effect === 'tell') hands.tell?.(String(one.to), one.message as Asked);
    if (one.effect === 'reply') hands.reply?.(one.to, one.answer);
    if (one.effect === 'emit') hands.emit?.(String(one.name), Number(one.value));
    if (one.effect === 'cancel') timers.cancel(one.key);
    if (one.effect === 'after') {
      const dueMs = driver.nowMs + Number(one.delayMs);
      timers.set(one.key, { dueMs, message: one.message as Self });
    }
  };
  const settle = (): void => {
    for (let round = 0; round < ROUNDS_MAX; round++) {
      for (const one of fx.take()) carryOut(one);
      const next = inbox.shift();
      if (next === undefined) return;
      hands.trace?.(`> ${next.kind}`);
      core.step(state, next, fx, driver.nowMs);
    }
    throw new Error('the core does not come to rest');
  };
  const driver: Driver<Self> = {
    nowMs: startMs,
    deliver: (message) => {
      inbox.push(message);
    },
    answer: (resume, value) => {
      inbox.push({ ...resume, result: { ok: true, value } } as unknown as Self);
    },
    send: (message) => {
      inbox.push(message);
      settle();
    },
    settle,
    advance: (ms, between) => {
      const untilMs = driver.nowMs + ms;
      for (let due = timers.next(untilMs); due !== undefined; due = timers.next(untilMs)) {
        driver.nowMs = due.dueMs;
        driver.send(due.message);
        between?.();
      }
      driver.nowMs = untilMs;
    },
  };
  core.start?.(state, fx, startMs);
  return driver;
};

/** Coordinated shutdown: what the core hands to its io on the way out. */
export const drained = <
  Config,
  State,
  Self extends { readonly kind: string },
  Io extends IoCommands,
>(
  core: Core<Config, State, Self, Io>,
  state: State,
  atMs: number,
): readonly Recorded[] => {
  const fx = recorder<Self, Io>();
  core.drain?.(state, fx, atMs);
  return fx.take();
};
