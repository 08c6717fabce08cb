/** The executor with its real store in a folder, driven by hand: what it is asked it answers at once. */
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Commands } from '#actors/executor/chain.ts';
import { config } from '#actors/executor/config.ts';
import { executorCore, type Self, type State } from '#actors/executor/core.ts';
import { io } from '#actors/executor/io.ts';
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { configHash, encodeGenesis, type Genesis } from '#proto/genesis.ts';
import type { IoAdapter, IoPort } from '#runtime/actor.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';

type Question = { readonly kind: string; readonly [field: string]: unknown };
export type Answer = { readonly [field: string]: unknown };

export type ExecutorHost = {
  /** Sends a question and gives its answer; undefined while there is none. */
  readonly ask: (message: Question, atMs?: number) => Answer | undefined;
  readonly tell: (message: Self, atMs?: number) => void;
  /** Everything that it did since the last time, answers and store commands left out. */
  readonly effects: () => readonly Recorded[];
  readonly state: State;
  /** False: commands of the store wait until `flush`. */
  storing: boolean;
  readonly flush: () => void;
  readonly close: () => void;
};

export const freshFolder = (): string => mkdtempSync(join(tmpdir(), 'cybermesh-'));

const nothing = (): void => {};

/** A port that delivers into `mailbox`; what the executor does not use rejects. */
export const portOf = <Self_ extends { readonly kind: string }>(
  dataDir: string,
  genesis: Genesis,
  mailbox: Self_[],
): IoPort<Self_> => {
  const file = join(dataDir, 'genesis.json');
  writeFileSync(file, encodeGenesis(genesis));
  const refuse = () => Promise.reject(new Error('not in this test'));
  return {
    traceparent: () => '',
    deliver: (message) => mailbox.push(message) > 0,
    path: 'v1.executor',
    incarnation: 0,
    dataDir,
    node: {
      name: 'test',
      dataDir,
      genesis: { file, sha256: hex(configHash(genesis, crypto)) },
      database: { url: '' },
    },
    now: () => 0,
    log: nothing,
    emit: nothing,
    gauge: nothing,
    native: (call) => call(),
    system: { tree: refuse, metrics: refuse, notices: refuse },
    pool: refuse,
  };
};

export const executorHost = async (
  dataDir: string,
  genesis: Genesis,
  settings: Partial<ReturnType<typeof config.parse>> = {},
): Promise<ExecutorHost> => {
  const mailbox: Self[] = [];
  const parsed = config.parse(settings);
  const adapter: IoAdapter<Commands> = await io(parsed, portOf(dataDir, genesis, mailbox));
  const core = executorCore(crypto);
  const state = core.init(parsed);
  const fx = recorder<Self, Commands>(true);
  const answers = new Map<unknown, Answer>();
  const seen: Recorded[] = [];
  const waiting: Recorded[] = [];
  let asks = 0;

  const carryOut = ({ command, argument }: Recorded): void => {
    const run = adapter.commands[command as keyof Commands] as (argument: unknown) => void;
    run(argument);
  };
  const settle = (atMs: number): void => {
    for (const one of fx.take()) {
      if (one.effect === 'reply') answers.set(one.to, one.answer as Answer);
      else if (one.effect !== 'io') seen.push(one);
      else if (host.storing) carryOut(one);
      else waiting.push(one);
    }
    const next = mailbox.shift();
    if (next === undefined) return;
    core.step(state, next, fx, atMs);
    settle(atMs);
  };
  const host: ExecutorHost = {
    ask: (message, atMs = 0) => {
      const replyTo = { from: 0, ask: ++asks, incarnation: 0, kind: 0 };
      core.step(state, { ...message, replyTo } as unknown as Self, fx, atMs);
      settle(atMs);
      return answers.get(replyTo);
    },
    tell: (message, atMs = 0) => {
      core.step(state, message, fx, atMs);
      settle(atMs);
    },
    effects: () => seen.splice(0),
    state,
    storing: true,
    flush: () => {
      for (const one of waiting.splice(0)) carryOut(one);
      settle(0);
    },
    close: () => adapter.close?.(),
  };
  core.start?.(state, fx, 0);
  settle(0);
  return host;
};
