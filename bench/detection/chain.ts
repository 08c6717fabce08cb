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

export const openChain = async (options: ChainOptions): Promise<Chain> => {
  const queue: { readonly to: string; readonly message: Tell }[] = [];
  const counters = new Map<string, number>();
  const told: Told[] = [];
  const running = new Set<Promise<void>>();
  let readUs = 0;
  let ended = false;

  const play = (message: Tell): void => {
    if (message.kind === 'ended') ended = true;
    if (message.kind !== 'detection') return;
    const { epoch, seq, payload, evidence } = message as unknown as {
      epoch: number;
      seq: number;
      payload: Uint8Array;
      evidence: Uint8Array;
    };
    const parsed = parseAnomalyPayload(payload);
    if (!parsed.ok) throw new Error(`the ensemble wrote what is no payload: ${parsed.error}`);
    const id = messageId(PRODUCER, crypto.sha256(payload), crypto);
    told.push({ id, payload: parsed.value, payloadBytes: payload, evidence, readUs });
    queue.push({
      to: 'ensemble',
      message: { kind: 'published', id, outcome: 'published', epoch, seq },
    });
  };

  const effects = (name: string, commands: Record<string, (argument: unknown) => unknown>) => ({
    tell: (to: { readonly name: string }, message: Tell) => queue.push({ to: to.name, message }),
    emit: (counter: string, value: number) => {
      const key = `${name}.${counter}`;
      counters.set(key, (counters.get(key) ?? 0) + value);
    },
    io: (command: string, argument: unknown) => {
      const done = Promise.resolve(commands[command]?.(argument)).then(() => undefined);
      running.add(done);
      void done.finally(() => running.delete(done));
    },
    log: (level: string, text: string, fields: unknown) => {
      if (level === 'error') throw new Error(`${name}: ${text} ${JSON.stringify(fields)}`);
    },
    stop: (reason: string, text: string) => {
      throw new Error(`${name} stops (${reason}): ${text}`);
    },
    ...Object.fromEntries(
      ['after', 'cancel', 'watch', 'gauge', 'signal', 'reply', 'ask'].map((k) => [
        k,
        () => undefined,
      ]),
    ),
  });

  const steps = new Map<string, Step>();
  // biome-ignore lint/suspicious/noExplicitAny: a table of cores of every type
  const put = (name: string, core: Core<any, any, any, any>, config: unknown, commands = {}) => {
    const state = core.init(config);
    const fx = effects(name, commands);
    // biome-ignore lint/suspicious/noExplicitAny: as above
    steps.set(name, (message) => core.step(state, message as any, fx as any, 0));
    // biome-ignore lint/suspicious/noExplicitAny: as above
    if (name !== 'ensemble') core.start?.(state, fx as any, 0);
    return state;
  };

  put('features', features, featuresConfig.parse({}));
  put('rules', rules, rulesConfig.parse({}));
  put('math', math, mathConfig.parse({}));
  const state = put('ensemble', ensembleCore(crypto), ensembleConfig.parse(options.ensemble ?? {}));
  const port = {
    deliver: (message: Tell) => queue.push({ to: 'ml', message }) > 0,
    native: <T>(call: () => Promise<T>) => call(),
    now: () => 0,
    log: () => undefined,
    emit: () => undefined,
  } as unknown as IoPort<never>;
  const adapter = options.ml ? await mlIo(mlConfig.parse({}), port) : undefined;
  put('ml', ml, mlConfig.parse({}), adapter?.commands ?? {});
  steps.set('signer', play);
  steps.set('telemetry', () => undefined);
  steps.get('rules')?.({ kind: 'file', text: options.rules, sha256: '0'.repeat(64) });

  const settle = async (): Promise<void> => {
    while (queue.length > 0 || running.size > 0) {
      const next = queue.shift();
      if (next === undefined) await Promise.all(running);
      else steps.get(next.to)?.(next.message);
    }
  };
  await settle();
  return {
    push: async (message, us) => {
      readUs = us;
      queue.push({ to: 'features', message });
      await settle();
      const waiting = (state as EnsembleState).pending.length;
      if (waiting > 0) throw new Error(`${waiting} batches wait for an engine that has answered`);
    },
    told,
    counters,
    isEnded: () => ended,
    close: async () => adapter?.close?.(),
  };
};
