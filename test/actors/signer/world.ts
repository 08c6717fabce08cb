/** The signer's core and its real store and key, on a simulated clock, with a bus that can be told to fail. */
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { config } from '#actors/signer/config.ts';
import { core, type State } from '#actors/signer/core.ts';
import type { Detection } from '#actors/signer/envelope.ts';
import { accept, sign } from '#actors/signer/io.ts';
import type { Commands, Self } from '#actors/signer/messages.ts';
import { openSignerStore, type SignerStore } from '#actors/signer/store.ts';
import { crypto, readPrivateKey, writeKeyPair } from '#native/crypto.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';

export type Published = {
  readonly topic: string;
  readonly key: string;
  readonly value: Uint8Array;
  readonly atMs: number;
};
type Answer = 'ok' | 'unavailable' | 'too-large' | 'timeout' | 'lost-answer';
/** `lost-answer`: the record is on the bus, but the asker sees a timeout. */
export type BusMood = (attempt: number, atMs: number) => Answer;

const folder = mkdtempSync(path.join(tmpdir(), 'signer-'));
const keyFile = path.join(folder, 'detector.pem');
writeKeyPair(keyFile);
export const identity = { keys: readPrivateKey(keyFile), crypto };
let files = 0;
export const storeFile = (): string => {
  files += 1;
  return path.join(folder, `${files}.sqlite`);
};

export const messageOf = (one: Detection, seq: number, epoch = 1): Self => ({
  kind: 'detection',
  epoch,
  seq,
  ...one,
});

type Event = { readonly atMs: number; readonly order: number; readonly key: string; message: Self };

export class Crash extends Error {}

export type World = {
  readonly bus: Published[];
  readonly told: Recorded[];
  readonly store: SignerStore;
  state: State;
  atMs: number;
  tell(message: Self): void;
  /** Plays until nothing is left to do before `untilMs`. */
  run(untilMs: number): void;
  drain(): void;
};

const BUS_LATENCY_MS = 2;

/** `stepsMax`: effects carried out before the process dies (throws Crash). */
export const world = (options: {
  readonly file: string;
  readonly bus?: Published[];
  readonly mood?: BusMood;
  readonly settings?: object;
  readonly atMs?: number;
  readonly stepsMax?: number;
}): World => {
  const { file, bus = [], mood = () => 'ok', stepsMax = Number.POSITIVE_INFINITY } = options;
  const store = openSignerStore(file);
  const { instance, first } = store.transaction(store.incarnation);
  const fx = recorder<Self, Commands>();
  const told: Recorded[] = [];
  let events: Event[] = [];
  let order = 0;
  let steps = 0;
  let attempts = 0;

  const at = (delayMs: number, message: Self, key = ''): void => {
    if (key !== '') events = events.filter((one) => one.key !== key);
    order += 1;
    events.push({ atMs: self.atMs + delayMs, order, key, message });
  };

  const command = (name: string, argument: unknown): void => {
    switch (name as keyof Commands) {
      case 'load':
        return at(0, { kind: 'loaded', instance, first, waiting: store.waiting() });
      case 'accept': {
        const asked = argument as Commands['accept'];
        const accepted = store.transaction(() => accept(store, identity, asked));
        return at(0, { kind: 'accepted', accepted });
      }
      case 'sign': {
        const asked = argument as Commands['sign'];
        return at(
          0,
          store.transaction(() => sign(store, identity, asked)),
        );
      }
      case 'finish': {
        const { row, fate, atMs } = argument as Commands['finish'];
        store.transaction(() =>
          fate === 'published' ? store.published(row, atMs) : store.dropped(row),
        );
        return at(0, { kind: 'finished', row, fate });
      }
      case 'prune':
        return;
    }
  };

  const publish = (effect: Recorded): void => {
    const { topic, key, value } = effect.message as Omit<Published, 'atMs'>;
    attempts += 1;
    const answer = mood(attempts, self.atMs);
    if (answer === 'ok' || answer === 'lost-answer')
      bus.push({ topic, key, value, atMs: self.atMs });
    const failed = answer === 'timeout' || answer === 'lost-answer';
    const result = failed
      ? ({ ok: false, error: 'timeout' } as const)
      : ({ ok: true, value: { outcome: answer, partition: 0, offset: 0 } } as const);
    const delayMs = failed ? Number(effect.deadlineMs) : BUS_LATENCY_MS;
    at(delayMs, { ...(effect.resume as object), result } as Self);
  };

  const carryOut = (effect: Recorded): void => {
    steps += 1;
    if (steps > stepsMax) {
      store.close();
      throw new Crash();
    }
    if (effect.effect === 'io') command(String(effect.command), effect.argument);
    else if (effect.effect === 'ask') publish(effect);
    else if (effect.effect === 'after')
      at(Number(effect.delayMs), effect.message as Self, String(effect.key ?? ''));
    else told.push(effect);
  };

  const self: World = {
    bus,
    told,
    store,
    state: core.init(config.parse(options.settings ?? {})),
    atMs: options.atMs ?? 1_800_000_000_000,
    tell: (message) => at(0, message),
    run: (untilMs) => {
      for (;;) {
        events.sort((a, b) => a.atMs - b.atMs || a.order - b.order);
        const next = events[0];
        if (next === undefined || next.atMs > untilMs) break;
        events.shift();
        self.atMs = next.atMs;
        core.step(self.state, next.message, fx, self.atMs);
        for (const effect of fx.take()) carryOut(effect);
      }
      self.atMs = untilMs;
    },
    drain: () => {
      core.drain!(self.state, fx, self.atMs);
      for (const effect of fx.take()) carryOut(effect);
    },
  };
  core.start!(self.state, fx, self.atMs);
  for (const effect of fx.take()) carryOut(effect);
  return self;
};
