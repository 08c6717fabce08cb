/** Ingest with a bus, a chain and a clock that a test holds in its hands. */
import { config } from '#actors/ingest/config.ts';
import { ingestCore } from '#actors/ingest/core.ts';
import type { Commands, Self, State } from '#actors/ingest/state.ts';
import { crypto, verifyBatch } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { encodeContext } from '#proto/chain-context.ts';
import { decodeTransactions, type Transaction } from '#proto/consensus/transaction.ts';
import type { Genesis } from '#proto/genesis.ts';
import { AI_TOPICS, TOPICS } from '#proto/wire/topics.ts';
import type { Verify } from '#proto/wire/verification.ts';
import { type BusRecord, encodeRecords } from '#runtime/bus/record.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';
import { GENESIS_TIME_MS, keys, testGenesis } from './chain-genesis.ts';

type Asked = { readonly kind: string; readonly [field: string]: unknown };
type Published = {
  readonly topic: string;
  readonly key: string;
  readonly value: Uint8Array;
  readonly headers: { readonly [name: string]: string };
};

export type IngestHost = {
  readonly state: State;
  /** Unix milliseconds. */
  nowMs: number;
  /** Content hashes (hex) that the chain has. */
  readonly known: Set<string>;
  /** What the bus answers to publishes from now on. */
  busOutcome: 'ok' | 'unavailable' | 'too-large';
  readonly published: Published[];
  /** Tells to replica and executor, and counters, in order. */
  readonly seen: Recorded[];
  /** The newest committed mark of a topic's only partition. */
  readonly mark: (topic: string) => number;
  /** Appends to a topic and lets ingest work; the offset. */
  readonly append: (topic: string, value: Uint8Array, key?: string) => number;
  readonly message: (tx: Transaction) => number;
  /** The records from `offset` on come again, as after a restart of the consumer. */
  readonly redeliver: (topic: string, offset: number) => void;
  readonly send: (message: Self) => void;
  readonly take: (maxTransactions?: number) => readonly Transaction[];
  /** Moves the clock and fires what is due. */
  readonly advance: (ms: number) => void;
  readonly counters: () => { readonly [name: string]: number };
};

type Timer = { readonly dueMs: number; readonly key: string; readonly message: Self };

export const ingestHost = (
  settings: Partial<ReturnType<typeof config.parse>> = {},
  genesis: Genesis = testGenesis(),
  verify?: Verify,
): IngestHost => {
  const core = ingestCore(crypto, verify);
  const state = core.init(config.parse({ name: 'v1', key: 'v1.pem', ...settings }));
  const fx = recorder<Self, Commands>(true);
  const topics = new Map<string, BusRecord[]>();
  const marks = new Map<string, number>();
  const polls = new Map<string, { resume: Asked; from: number }>();
  const inbox: Self[] = [];
  const timers = new Map<string, Timer>();
  const answers = new Map<unknown, { transactions: Uint8Array }>();
  const counters: Record<string, number> = {};
  let asks = 0;

  const recordsOf = (topic: string): BusRecord[] => {
    const records = topics.get(topic) ?? [];
    topics.set(topic, records);
    return records;
  };
  const resume = (message: Asked, value: unknown): void => {
    inbox.push({ ...message, result: { ok: true, value } } as unknown as Self);
  };
  const servePoll = (topic: string): void => {
    const poll = polls.get(topic);
    const records = recordsOf(topic).filter((record) => record.offset >= (poll?.from ?? 0));
    if (poll === undefined || records.length === 0) return;
    polls.delete(topic);
    const positions = [recordsOf(topic).length];
    resume(poll.resume, { outcome: 'ok', records: encodeRecords(records), positions });
  };
  const onAsk = ({ message, resume: to }: { message: Asked; resume: Asked }): void => {
    switch (message.kind) {
      case 'fetch': {
        const topic = String(message.topic);
        const [from = marks.get(topic) ?? 0] = message.positions as number[];
        polls.set(topic, { resume: to, from });
        return servePoll(topic);
      }
      case 'publish': {
        if (host.busOutcome === 'ok') {
          const { topic, key, value, headers } = message as unknown as Published;
          host.published.push({ topic, key, value, headers: JSON.parse(String(headers)) });
        }
        return resume(to, { outcome: host.busOutcome, partition: 0, offset: 0 });
      }
      case 'context': {
        const { chainId, validators, producers, parameters, neverBlock } = genesis;
        const rest = { height: 0, headTimeMs: genesis.timeMs };
        const context = { chainId, validators, producers, parameters, neverBlock, ...rest };
        return resume(to, { bytes: encodeContext(context) });
      }
      default: {
        const ids = message.ids as readonly Uint8Array[];
        return resume(to, { known: ids.map((id) => host.known.has(hex(id))) });
      }
    }
  };
  const onTell = (one: Recorded): void => {
    const message = one.message as Asked;
    if (message.kind === 'commit') {
      marks.set(String(message.topic), (message.positions as number[])[0] ?? 0);
    } else host.seen.push(one);
  };
  const onIo = ({ command, argument }: Recorded): void => {
    if (command === 'open') inbox.push({ kind: 'opened', publicKey: keys.v1.publicKey });
    if (command === 'verify') {
      const { batch, claims } = argument as Commands['verify'];
      inbox.push({ kind: 'verifiedBatch', batch, results: verifyBatch(claims) });
    }
    if (command === 'sign') {
      const { reports } = argument as Commands['sign'];
      for (const report of reports) host.seen.push({ effect: 'report', ...report });
    }
  };
  const carryOut = (one: Recorded): void => {
    switch (one.effect) {
      case 'ask':
        return onAsk(one as unknown as { message: Asked; resume: Asked });
      case 'tell':
        return onTell(one);
      case 'io':
        return onIo(one);
      case 'reply':
        answers.set(one.to, one.answer as { transactions: Uint8Array });
        return;
      case 'after': {
        const key = String(one.key ?? `free-${++asks}`);
        const dueMs = host.nowMs + Number(one.delayMs);
        timers.set(key, { dueMs, key, message: one.message as Self });
        return;
      }
      case 'emit':
        counters[String(one.name)] = (counters[String(one.name)] ?? 0) + Number(one.value);
        return;
      default:
        return;
    }
  };
  const settle = (): void => {
    for (let rounds = 0; rounds < 10_000; rounds++) {
      for (const one of fx.take()) carryOut(one);
      const next = inbox.shift();
      if (next === undefined) return;
      core.step(state, next, fx, host.nowMs);
    }
    throw new Error('ingest does not come to rest');
  };
  const host: IngestHost = {
    state,
    nowMs: GENESIS_TIME_MS + 1000,
    known: new Set(),
    busOutcome: 'ok',
    published: [],
    seen: [],
    mark: (topic) => marks.get(topic) ?? 0,
    append: (topic, value, key = 'k') => {
      const records = recordsOf(topic);
      const offset = records.length;
      const timestampMs = host.nowMs;
      records.push({ partition: 0, offset, timestampMs, key, value, headers: {} });
      servePoll(topic);
      settle();
      return offset;
    },
    message: (tx) => {
      if (tx.kind === 'misbehaviour') throw new Error('no topic carries misbehaviour');
      return host.append(AI_TOPICS[tx.kind], tx.bytes);
    },
    redeliver: (topic, offset) => {
      const lane = state.lanes.get(topic);
      if (lane === undefined) throw new Error(topic);
      lane.sub.open[0]?.splice(0, lane.sub.open[0].length);
      const poll = polls.get(topic);
      if (poll !== undefined) poll.from = offset;
      servePoll(topic);
      settle();
    },
    send: (message) => {
      core.step(state, message, fx, host.nowMs);
      settle();
    },
    take: (maxTransactions = 1000) => {
      const replyTo = { from: 0, ask: ++asks, incarnation: 0, kind: 0 };
      host.send({ kind: 'take', maxTransactions, maxBytes: 8 << 20, replyTo });
      const txs = decodeTransactions(answers.get(replyTo)?.transactions ?? new Uint8Array(0));
      return txs.ok ? txs.value : [];
    },
    advance: (ms) => {
      const untilMs = host.nowMs + ms;
      for (;;) {
        const [next] = [...timers.values()].sort((a, b) => a.dueMs - b.dueMs);
        if (next === undefined || next.dueMs > untilMs) break;
        timers.delete(next.key);
        host.nowMs = next.dueMs;
        host.send(next.message);
      }
      host.nowMs = untilMs;
    },
    counters: () => counters,
  };
  core.start?.(state, fx, host.nowMs);
  settle();
  return host;
};

/** What stands in the DLQ: code and place of each letter. */
export const letters = (host: IngestHost): readonly string[] =>
  host.published
    .filter((one) => one.topic === TOPICS.dlq)
    .map(({ headers }) => `${headers['error-code']}@${headers['source-offset']}`);
