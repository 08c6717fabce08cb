/**
 * The detection chain without threads: the production cores of features, rules, math, ml and ensemble around one
 * queue. The signer is played: it publishes everything at once. What comes out depends on the input alone.
 */

import { config as ensembleConfig } from '#actors/ensemble/config.ts';
import { type State as EnsembleState, ensembleCore } from '#actors/ensemble/core.ts';
import { config as featuresConfig } from '#actors/features/config.ts';
import { core as features } from '#actors/features/core.ts';
import { config as mathConfig } from '#actors/math/config.ts';
import { core as math } from '#actors/math/core.ts';
import { config as mlConfig } from '#actors/ml/config.ts';
import { core as ml } from '#actors/ml/core.ts';
import { io as mlIo } from '#actors/ml/io.ts';
import { config as rulesConfig } from '#actors/rules/config.ts';
import { core as rules } from '#actors/rules/core.ts';
import { crypto } from '#native/crypto.ts';
import { type AnomalyPayload, parseAnomalyPayload } from '#proto/anomaly-payload.ts';
import { hex, utf8 } from '#proto/bytes.ts';
import { messageId } from '#proto/wire/ai-signature.ts';
import type { Core, IoPort } from '#runtime/actor.ts';

type Tell = { readonly kind: string; readonly [field: string]: unknown };
type Step = (message: Tell) => void;

/** One detection as the signer got it. */
export type Told = {
  readonly id: string;
  readonly payload: AnomalyPayload;
  readonly payloadBytes: Uint8Array;
  readonly evidence: Uint8Array;
  /** Capture time of the newest packet that had been read when it was told, us. */
  readonly readUs: number;
};

export type Chain = {
  /** Hands a batch to features and runs until nothing moves. */
  push(message: Tell, readUs: number): Promise<void>;
  readonly told: readonly Told[];
  readonly counters: ReadonlyMap<string, number>;
  readonly isEnded: () => boolean;
  close(): Promise<void>;
};

export type ChainOptions = {
  /** Text of the rule table. */
  readonly rules: string;
  /** Without it ml abstains on every batch. */
  readonly ml: boolean;
  /** Settings of the ensemble. */
  readonly ensemble?: { readonly [setting: string]: unknown };
};

const PRODUCER = new Uint8Array(32);

/** What moves between the cores, and what came out. */
type Belt = {
  readonly queue: { readonly to: string; readonly message: Tell }[];
  readonly counters: Map<string, number>;
  readonly told: Told[];
  /** Calls of io on their way. */
  readonly running: Set<Promise<void>>;
  readonly steps: Map<string, Step>;
  readUs: number;
  ended: boolean;
};

type IoFunctions = { readonly [command: string]: (argument: never) => unknown };
type Detection = {
  readonly epoch: number;
  readonly seq: number;
  readonly payload: Uint8Array;
  readonly evidence: Uint8Array;
};

/** The part of the signer. */
const play = (belt: Belt, message: Tell): void => {
  if (message.kind === 'ended') belt.ended = true;
  if (message.kind !== 'detection') return;
  const { epoch, seq, payload, evidence } = message as unknown as Detection;
  const parsed = parseAnomalyPayload(payload);
  if (!parsed.ok) throw new Error(`the ensemble wrote what is no payload: ${parsed.error}`);
  const id = messageId(PRODUCER, crypto.sha256(payload), crypto);
  const { readUs } = belt;
  belt.told.push({ id, payload: parsed.value, payloadBytes: payload, evidence, readUs });
  const answer = { kind: 'published', id, outcome: 'published', epoch, seq };
  belt.queue.push({ to: 'ensemble', message: answer });
};

const nothing = (): void => undefined;

const effects = (belt: Belt, name: string, commands: IoFunctions) => ({
  tell: (to: { readonly name: string }, message: Tell) => belt.queue.push({ to: to.name, message }),
  emit: (counter: string, value: number) => {
    const key = `${name}.${counter}`;
    belt.counters.set(key, (belt.counters.get(key) ?? 0) + value);
  },
  io: (command: string, argument: unknown) => {
    const done = Promise.resolve(commands[command]?.(argument as never)).then(nothing);
    belt.running.add(done);
    void done.finally(() => belt.running.delete(done));
  },
  log: (level: string, text: string, fields: unknown) => {
    if (level === 'error') throw new Error(`${name}: ${text} ${JSON.stringify(fields)}`);
  },
  stop: (reason: string, text: string) => {
    throw new Error(`${name} stops (${reason}): ${text}`);
  },
  ask: nothing,
  reply: nothing,
  after: nothing,
  cancel: nothing,
  watch: nothing,
  gauge: nothing,
  signal: nothing,
});

/** Puts a core on the belt and starts it; returns its state. */
const put = (
  belt: Belt,
  name: string,
  // biome-ignore lint/suspicious/noExplicitAny: a table of cores of every type
  core: Core<any, any, any, any>,
  config: unknown,
  commands: IoFunctions = {},
): unknown => {
  const state = core.init(config);
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const fx = effects(belt, name, commands) as any;
  belt.steps.set(name, (message) => core.step(state, message, fx, 0));
  core.start?.(state, fx, 0);
  return state;
};

const openMl = async (belt: Belt, wanted: boolean): Promise<(() => Promise<void>) | undefined> => {
  if (!wanted) {
    put(belt, 'ml', ml, mlConfig.parse({}));
    belt.queue.length = 0;
    return undefined;
  }
  const port = {
    deliver: (message: Tell) => belt.queue.push({ to: 'ml', message }) > 0,
    native: <T>(call: () => Promise<T>) => call(),
    now: () => 0,
    log: nothing,
    emit: nothing,
  } as unknown as IoPort<never>;
  const adapter = await mlIo(mlConfig.parse({}), port);
  put(belt, 'ml', ml, mlConfig.parse({}), adapter.commands as unknown as IoFunctions);
  return async () => adapter.close?.();
};

const settle = async (belt: Belt): Promise<void> => {
  while (belt.queue.length > 0 || belt.running.size > 0) {
    const next = belt.queue.shift();
    if (next === undefined) await Promise.all(belt.running);
    else belt.steps.get(next.to)?.(next.message);
  }
};

export const openChain = async (options: ChainOptions): Promise<Chain> => {
  const belt: Belt = {
    queue: [],
    counters: new Map(),
    told: [],
    running: new Set(),
    steps: new Map(),
    readUs: 0,
    ended: false,
  };
  put(belt, 'features', features, featuresConfig.parse({}));
  put(belt, 'rules', rules, rulesConfig.parse({}));
  put(belt, 'math', math, mathConfig.parse({}));
  const settings = ensembleConfig.parse(options.ensemble ?? {});
  const state = put(belt, 'ensemble', ensembleCore(crypto), settings) as EnsembleState;
  const close = await openMl(belt, options.ml);
  belt.steps.set('signer', (message) => play(belt, message));
  const sha256 = hex(crypto.sha256(utf8(options.rules)));
  belt.queue.push({ to: 'rules', message: { kind: 'file', text: options.rules, sha256 } });
  await settle(belt);
  return {
    push: async (message, readUs) => {
      belt.readUs = readUs;
      belt.queue.push({ to: 'features', message });
      await settle(belt);
      const waiting = state.pending.length;
      if (waiting > 0) throw new Error(`${waiting} batches wait for an engine that has answered`);
    },
    told: belt.told,
    counters: belt.counters,
    isEnded: () => belt.ended,
    close: async () => close?.(),
  };
};
