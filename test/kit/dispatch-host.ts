/** Dispatch of one validator on a real chain store and a bus that a test holds in its hands. */
import { config } from '#actors/dispatch/config.ts';
import { dispatchCore } from '#actors/dispatch/core.ts';
import { io } from '#actors/dispatch/io.ts';
import type { Commands, Self, State } from '#actors/dispatch/state.ts';
import { crypto } from '#native/crypto.ts';
import type { IoAdapter } from '#runtime/actor.ts';
import { type BusRecord, encodeRecords } from '#runtime/bus/record.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';
import { testGenesis } from './chain-genesis.ts';
import { type Answer, type ExecutorHost, portOf } from './executor-host.ts';

type Asked = { readonly kind: string; readonly [field: string]: unknown };

/** One log for each topic, shared by every dispatch of a test. */
export type TestBus = {
  readonly topics: Map<string, BusRecord[]>;
  up: boolean;
};

export const testBus = (): TestBus => ({ topics: new Map(), up: true });

export const recordsIn = (bus: TestBus, topic: string): BusRecord[] => {
  const records = bus.topics.get(topic) ?? [];
  bus.topics.set(topic, records);
  return records;
};

export type DispatchHost = {
  readonly state: State;
  /** Looks at the chain and the bus again and works until nothing is left to do now. */
  readonly work: () => void;
  readonly advance: (ms: number) => void;
  readonly close: () => void;
};

type Timer = { readonly dueMs: number; readonly key: string; readonly message: Self };

/** `keyFile` is the absolute path of the validator's key. */
export const dispatchHost = async (
  name: string,
  keyFile: string,
  dataDir: string,
  chain: ExecutorHost,
  bus: TestBus,
  startMs: number,
): Promise<DispatchHost> => {
  const inbox: Self[] = [];
  const settings = config.parse({ name, key: keyFile });
  const adapter: IoAdapter<Commands> = await io(settings, portOf(dataDir, testGenesis(), inbox));
  const core = dispatchCore(crypto);
  const state = core.init(settings);
  const fx = recorder<Self, Commands>();
  const timers = new Map<string, Timer>();
  const parked = new Map<string, { message: Asked; resume: Asked }>();
  let nowMs = startMs;

  const resume = (to: Asked, value: unknown): void => {
    inbox.push({ ...to, result: { ok: true, value } } as unknown as Self);
  };
  const fetch = (message: Asked, to: Asked): void => {
    const topic = String(message.topic);
    const [from = 0] = message.positions as number[];
    const records = recordsIn(bus, topic).slice(from);
    if (records.length === 0) parked.set('fetch', { message, resume: to });
    else {
      const positions = [from + records.length];
      resume(to, { outcome: 'ok', records: encodeRecords(records), positions });
    }
  };
  const publish = (message: Asked, to: Asked): void => {
    if (!bus.up) return resume(to, { outcome: 'unavailable', partition: 0, offset: 0 });
    const records = recordsIn(bus, String(message.topic));
    records.push({
      partition: 0,
      offset: records.length,
      timestampMs: nowMs,
      key: String(message.key),
      value: message.value as Uint8Array,
      headers: {},
    });
    resume(to, { outcome: 'ok', partition: 0, offset: records.length - 1 });
  };
  const onAsk = ({ message, resume: to }: { message: Asked; resume: Asked }): void => {
    if (message.kind === 'fetch') return fetch(message, to);
    if (message.kind === 'publish') return publish(message, to);
    if (message.kind === 'read') {
      const head = chain.ask({ kind: 'head' }) as Answer;
      if (Number(message.fromHeight) > Number(head.height)) {
        parked.set('read', { message, resume: to });
        return;
      }
    }
    resume(to, chain.ask(message));
  };
  const carryOut = (one: Recorded): void => {
    if (one.effect === 'ask') onAsk(one as unknown as { message: Asked; resume: Asked });
    if (one.effect === 'cancel') timers.delete(String(one.key));
    if (one.effect === 'after') {
      const key = String(one.key);
      timers.set(key, { dueMs: nowMs + Number(one.delayMs), key, message: one.message as Self });
    }
    if (one.effect === 'io') {
      const run = adapter.commands[one.command as keyof Commands] as (argument: unknown) => void;
      run(one.argument);
    }
  };
  const settle = (): void => {
    for (let rounds = 0; rounds < 10_000; rounds++) {
      for (const one of fx.take()) carryOut(one);
      const next = inbox.shift();
      if (next === undefined) return;
      core.step(state, next, fx, nowMs);
    }
    throw new Error('dispatch does not come to rest');
  };
  const work = (): void => {
    for (const [key, one] of [...parked]) {
      parked.delete(key);
      onAsk(one);
    }
    settle();
  };
  core.start?.(state, fx, nowMs);
  settle();
  return {
    state,
    work,
    advance: (ms) => {
      const untilMs = nowMs + ms;
      for (;;) {
        const [next] = [...timers.values()].sort((a, b) => a.dueMs - b.dueMs);
        if (next === undefined || next.dueMs > untilMs) break;
        timers.delete(next.key);
        nowMs = next.dueMs;
        core.step(state, next.message, fx, nowMs);
        work();
      }
      nowMs = untilMs;
    },
    close: () => {
      core.drain?.(state, fx, nowMs);
      for (const one of fx.take()) if (one.effect === 'io') carryOut(one);
      void adapter.close?.();
    },
  };
};
