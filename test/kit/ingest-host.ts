/** Ingest with a bus, a chain and a clock that a test holds in its hands. */
import { config } from '#actors/ingest/config.ts';
import { ingestCore } from '#actors/ingest/core.ts';
import type { SeenNonce } from '#actors/ingest/nonces.ts';
import type { Commands, NonceClaim, Self, State } from '#actors/ingest/state.ts';
import { crypto, verifyBatch } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { encodeContext } from '#proto/chain-context.ts';
import { decodeTransactions, type Transaction } from '#proto/consensus/transaction.ts';
import type { Genesis } from '#proto/genesis.ts';
import { AI_TOPICS, TOPICS } from '#proto/wire/topics.ts';
import type { Verify } from '#proto/wire/verification.ts';
import type { Recorded } from '#runtime/recorder.ts';
import { GENESIS_TIME_MS, keys, testGenesis } from './chain-genesis.ts';
import { type Asked, coreDriver, type Driver, type Hands } from './core-driver.ts';
import { appendTo, type Desk, deskAt, recordsIn, type TestBus, testBus } from './test-bus.ts';

export type IngestHost = {
  readonly state: State;
  readonly bus: TestBus;
  readonly driver: Driver<Self>;
  /** Content hashes (hex) that the chain has. */
  readonly known: Set<string>;
  /** Tells to replica and executor, and reports, in order. */
  readonly seen: Recorded[];
  readonly counters: { [name: string]: number };
  /** What went in and out, as lines. */
  readonly transcript: string[];
  /** The newest committed mark of a topic's only partition. */
  readonly mark: (topic: string) => number;
  /** Appends to a topic and lets ingest work; the offset. */
  readonly append: (topic: string, value: Uint8Array) => number;
  readonly message: (tx: Transaction) => number;
  /** The records from `offset` on come again, as after a restart of the consumer. */
  readonly redeliver: (topic: string, offset: number) => void;
  readonly send: (message: Self) => void;
  readonly take: (maxTransactions?: number) => readonly Transaction[];
  /** Moves the clock and fires what is due. */
  readonly advance: (ms: number) => void;
};

const contextOf = (genesis: Genesis) => {
  const { chainId, validators, producers, parameters, neverBlock, timeMs } = genesis;
  const rules = { chainId, validators, producers, parameters, neverBlock };
  return encodeContext({ ...rules, height: 0, headTimeMs: timeMs });
};

type World = Pick<IngestHost, 'known' | 'seen' | 'counters' | 'transcript'> & {
  readonly genesis: Genesis;
  readonly desk: Desk;
  readonly driver: () => Driver<Self>;
  readonly answers: Map<unknown, { readonly transactions: Uint8Array }>;
  readonly nonces: Map<string, SeenNonce> | undefined;
};

const question = (world: World, message: Asked, resume: Asked): void => {
  if (world.desk.ask(message, resume)) return;
  if (message.kind === 'context') {
    return world.driver().answer(resume, { bytes: contextOf(world.genesis) });
  }
  const ids = message.ids as readonly Uint8Array[];
  world.driver().answer(resume, { known: ids.map((id) => world.known.has(hex(id))) });
};

/** As Redis would: the first to come is kept, the others see it. */
const shared = ({ nonces }: World, claim: NonceClaim | null): SeenNonce | null => {
  if (claim === null || nonces === undefined) return null;
  const seen = nonces.get(claim.key);
  if (seen === undefined) nonces.set(claim.key, claim);
  return seen ?? null;
};

const command = (world: World, name: string, argument: unknown): void => {
  if (name === 'open') {
    world.driver().deliver({ kind: 'opened', publicKey: keys.v1.publicKey });
  }
  if (name === 'verify') {
    const { batch, claims, nonces = [] } = argument as Commands['verify'];
    const sightings = nonces.map(({ claim }) => shared(world, claim));
    const results = verifyBatch(claims);
    world.driver().deliver({ kind: 'verifiedBatch', batch, results, sightings });
  }
  if (name === 'sign') {
    for (const report of (argument as Commands['sign']).reports) {
      world.seen.push({ effect: 'report', ...report });
    }
  }
};

const handsOf = (world: World): Hands => ({
  ask: (message, resume) => question(world, message, resume),
  io: (name, argument) => command(world, name, argument),
  tell: (to, message) => {
    if (message.kind !== 'commit') world.seen.push({ effect: 'tell', to, message });
    else world.desk.marks.set(String(message.topic), (message.positions as number[])[0] ?? 0);
  },
  trace: (line) => world.transcript.push(line),
  reply: (to, answer) => world.answers.set(to, answer as { transactions: Uint8Array }),
  emit: (name, value) => {
    world.counters[name] = (world.counters[name] ?? 0) + value;
  },
});

const taken = (world: World, maxTransactions: number): readonly Transaction[] => {
  const replyTo = { from: 0, ask: world.answers.size, incarnation: 0, kind: 0 };
  world.driver().send({ kind: 'take', maxTransactions, maxBytes: 8 << 20, replyTo });
  const txs = decodeTransactions(world.answers.get(replyTo)?.transactions ?? new Uint8Array(0));
  if (!txs.ok) throw new Error(txs.error);
  return txs.value;
};

export const ingestHost = (
  settings: Partial<ReturnType<typeof config.parse>> = {},
  genesis: Genesis = testGenesis(),
  verify?: Verify,
  /** What several hosts of one validator share, if they do. */
  nonces?: Map<string, SeenNonce>,
): IngestHost => {
  const core = ingestCore(crypto, verify);
  const state = core.init(config.parse({ name: 'v1', key: 'v1.pem', ...settings }));
  const bus = testBus();
  const desk = deskAt(bus, () => driver);
  const world: World = {
    genesis,
    desk,
    driver: () => driver,
    known: new Set(),
    seen: [],
    counters: {},
    transcript: [],
    answers: new Map(),
    nonces,
  };
  const driver: Driver<Self> = coreDriver(core, state, handsOf(world), GENESIS_TIME_MS + 1000);
  driver.settle();
  const append = (topic: string, value: Uint8Array): number => {
    const record = { key: 'k', value, headers: {}, timestampMs: driver.nowMs };
    const offset = appendTo(bus, topic, record);
    desk.serve();
    driver.settle();
    return offset;
  };
  return {
    ...world,
    state,
    bus,
    driver,
    mark: (topic) => desk.marks.get(topic) ?? 0,
    append,
    message: (tx) => {
      if (tx.kind === 'misbehaviour') throw new Error('no topic carries misbehaviour');
      return append(AI_TOPICS[tx.kind], tx.bytes);
    },
    redeliver: (topic, offset) => {
      state.lanes.get(topic)?.sub.open[0]?.splice(0);
      desk.rewind(topic, offset);
      driver.settle();
    },
    send: driver.send,
    take: (maxTransactions = 1000) => taken(world, maxTransactions),
    advance: driver.advance,
  };
};

/** What stands in the DLQ: code and place of each letter. */
export const letters = (host: IngestHost): readonly string[] =>
  recordsIn(host.bus, TOPICS.dlq).map(
    ({ headers }) => `${headers['error-code']}@${headers['source-offset']}`,
  );
