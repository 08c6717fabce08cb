/** One replica in the simulated world: the real machine, and around it a disk, an executor, a mempool and a clock. */

import type {
  Effect,
  Event,
  IdentifiedBlock,
  Params,
  StoredBlock,
  TimerId,
} from '#actors/replica/machine/events.ts';
import { init, type State, step } from '#actors/replica/machine/machine.ts';
import type { DurableRecord } from '#actors/replica/machine/record.ts';
import type { Rules } from '#actors/replica/machine/rules.ts';
import { assembleSyncReply } from '#actors/replica/machine/sync-reply.ts';
import type { AnchorProof } from '#proto/consensus/anchor.ts';
import { blockHash } from '#proto/consensus/header.ts';
import type { Message } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { Transaction } from '#proto/consensus/transaction.ts';
import { unreachable } from '#proto/result.ts';
import { build, commit, execute, headOf, idOf, type Ledger, ledger } from './ledger.ts';
import { simulatedCrypto as crypto } from './signatures.ts';

/** What survives a crash. A write is there when its fsync is done, and not a moment before. */
export type Disk = { record: DurableRecord | null; readonly blocks: Map<HashHex, StoredBlock> };

export type SimulatedNode = {
  /** Place among the instances; twins share an identity. */
  readonly index: number;
  readonly name: string;
  readonly id: HashHex;
  readonly params: Params;
  readonly rules: Rules;
  readonly disk: Disk;
  readonly ledger: Ledger;
  readonly mempool: Map<HashHex, Transaction>;
  machine: State;
  alive: boolean;
  /** Grows with every crash: what was under way before it comes to nothing. */
  life: number;
  skewMs: number;
  /** Multiplies what its work takes. */
  slowness: number;
  held: { readonly after: number; readonly release: () => void }[];
  readonly timers: Map<TimerId, number>;
  timerCount: number;
};

export type World = {
  nowMs(): number;
  /** After a delay with jitter of the world's own. */
  later(delayMs: number, run: () => void): void;
  /** Time that a piece of work takes, in milliseconds. */
  cost(meanMs: number): number;
  transmit(from: SimulatedNode, to: HashHex | null, message: Message): void;
  readonly hooks: Hooks;
};

/** What the invariants look at. */
export type Hooks = {
  stepped(node: SimulatedNode, event: Event): void;
  sent(node: SimulatedNode, message: Message): void;
  decided(node: SimulatedNode, blocks: readonly IdentifiedBlock[], proof: AnchorProof): void;
  effect(node: SimulatedNode, effect: Effect): void;
};

export const simulatedNode = (
  index: number,
  name: string,
  params: Params,
  rules: Rules,
): SimulatedNode => ({
  index,
  name,
  id: params.self,
  params,
  rules,
  disk: { record: null, blocks: new Map() },
  ledger: ledger(params.genesis),
  mempool: new Map(),
  machine: init(params, rules),
  alive: false,
  life: 0,
  skewMs: 0,
  slowness: 1,
  held: [],
  timers: new Map(),
  timerCount: 0,
});

const localMs = (node: SimulatedNode, world: World): number =>
  Math.floor(world.nowMs() + node.skewMs);

export const feed = (node: SimulatedNode, world: World, event: Event): void => {
  if (!node.alive) return;
  const effects: Effect[] = [];
  step(node.machine, event, (effect) => effects.push(effect), localMs(node, world));
  for (const effect of effects) perform(node, world, effect);
  world.hooks.stepped(node, event);
};

/** Runs later, unless the node has crashed in between. */
const afterwards = (node: SimulatedNode, world: World, delayMs: number, run: () => void): void => {
  const { life } = node;
  world.later(delayMs * node.slowness, () => {
    if (node.alive && node.life === life) run();
  });
};

const work = (node: SimulatedNode, world: World, meanMs: number, run: () => void): void =>
  afterwards(node, world, world.cost(meanMs), run);

const FSYNC_MS = 2;
const EXECUTE_MS = 1;
const COMMIT_MS = 3;

const perform = (node: SimulatedNode, world: World, effect: Effect): void => {
  world.hooks.effect(node, effect);
  switch (effect.kind) {
    case 'persist':
      return persist(node, world, effect);
    case 'send':
      return emit(node, world, effect.to, effect.message, effect.after);
    case 'broadcast':
      return emit(node, world, null, effect.message, effect.after);
    case 'set-timer':
      return setTimer(node, world, effect.id, effect.delayMs, effect.view);
    case 'cancel-timer':
      node.timers.delete(effect.id);
      return;
    case 'request-block':
      return requestBlock(node, world, effect);
    case 'execute':
      return work(node, world, EXECUTE_MS, () => executed(node, world, effect.hash, effect));
    case 'commit':
      world.hooks.decided(node, effect.blocks, effect.proof);
      return commitNext(node, world, effect.blocks, effect.proof);
    case 'serve-sync':
      return work(node, world, EXECUTE_MS, () => serve(node, world, effect));
    case 'forward-pending':
      return forward(node, world, [...node.mempool.values()]);
    case 'forwarded':
      return admit(node, world, effect.txs, false);
    case 'count-pending':
      return work(node, world, EXECUTE_MS, () => countPending(node, world));
    case 'evidence':
    case 'halt':
    case 'note':
      return;
    default:
      return unreachable(effect);
  }
};

/** One disk writes one thing after the other. */
const persist = (
  node: SimulatedNode,
  world: World,
  { seq, record, block }: Extract<Effect, { kind: 'persist' }>,
): void => {
  afterwards(node, world, FSYNC_MS, () => {
    node.disk.record = record;
    if (block !== null) node.disk.blocks.set(blockHash(block.block.header, crypto), block);
    for (const [hash, stored] of node.disk.blocks) {
      if (stored.block.header.height <= record.committedHeight) node.disk.blocks.delete(hash);
    }
    const ready = node.held.filter((held) => held.after <= seq);
    node.held = node.held.filter((held) => held.after > seq);
    for (const { release } of ready) release();
    feed(node, world, { kind: 'persisted', seq });
  });
};

const emit = (
  node: SimulatedNode,
  world: World,
  to: HashHex | null,
  message: Message,
  after: number | undefined,
): void => {
  const release = (): void => {
    world.hooks.sent(node, message);
    world.transmit(node, to, message);
  };
  if (after === undefined || after <= node.machine.durableSeq) release();
  else node.held.push({ after, release });
};

const setTimer = (
  node: SimulatedNode,
  world: World,
  id: TimerId,
  delayMs: number,
  view: number,
): void => {
  node.timerCount += 1;
  const token = node.timerCount;
  node.timers.set(id, token);
  const { life } = node;
  world.later(delayMs, () => {
    if (!node.alive || node.life !== life || node.timers.get(id) !== token) return;
    node.timers.delete(id);
    feed(node, world, { kind: 'timer', id, view });
  });
};

const requestBlock = (
  node: SimulatedNode,
  world: World,
  { build: request }: Extract<Effect, { kind: 'request-block' }>,
): void =>
  work(node, world, EXECUTE_MS, () => {
    const { chainId } = node.params.committee;
    const block = build(node.ledger, request, [...node.mempool.values()].slice(0, 50), chainId);
    const reason = block === null ? 'unknown-parent' : '';
    feed(node, world, { kind: 'built', request: request.request, block, reason });
  });

const executed = (
  node: SimulatedNode,
  world: World,
  hash: HashHex,
  { block }: Extract<Effect, { kind: 'execute' }>,
): void => {
  const { outcome, root } = execute(node.ledger, hash, block);
  feed(node, world, { kind: 'executed', hash, outcome, stateRoot: root, reason: outcome });
};

const commitNext = (
  node: SimulatedNode,
  world: World,
  blocks: readonly IdentifiedBlock[],
  proof: AnchorProof,
): void => {
  const [first, ...rest] = blocks;
  if (first === undefined) return;
  // Commits queue behind each other: a constant delay keeps their order.
  afterwards(node, world, COMMIT_MS, () => {
    const outcome = commit(node.ledger, first, proof);
    for (const tx of first.block.txs) node.mempool.delete(idOf(tx));
    feed(node, world, { kind: 'committed', hash: first.hash, outcome, reason: outcome });
  });
  commitNext(node, world, rest, proof);
};

const serve = (
  node: SimulatedNode,
  world: World,
  { to, fromHeight, blocksMax }: Extract<Effect, { kind: 'serve-sync' }>,
): void => {
  const committed = node.ledger.chain.slice(fromHeight - 1, fromHeight - 1 + 2 * blocksMax);
  emit(node, world, to, assembleSyncReply(fromHeight, committed, blocksMax), undefined);
};

const countPending = (node: SimulatedNode, world: World): void =>
  feed(node, world, { kind: 'txs-ready', count: node.mempool.size });

const forward = (node: SimulatedNode, world: World, txs: readonly Transaction[]): void => {
  if (txs.length > 0) emit(node, world, null, { kind: 'forward', txs }, undefined);
};

/** Into the mempool, unless committed already; what a client brings is forwarded. */
export const admit = (
  node: SimulatedNode,
  world: World,
  txs: readonly Transaction[],
  fromClient: boolean,
): void => {
  const fresh = txs.filter(
    (tx) => !node.mempool.has(idOf(tx)) && !node.ledger.included.has(idOf(tx)),
  );
  if (fresh.length === 0 || !node.alive) return;
  for (const tx of fresh) node.mempool.set(idOf(tx), tx);
  if (fromClient) forward(node, world, fresh);
  work(node, world, EXECUTE_MS, () => countPending(node, world));
};

export const boot = (node: SimulatedNode, world: World): void => {
  node.alive = true;
  node.machine = init(node.params, node.rules);
  feed(node, world, {
    kind: 'start',
    durable: node.disk.record,
    blocks: [...node.disk.blocks.values()],
    head: headOf(node.ledger),
    proof: node.ledger.chain.at(-1)?.proof ?? null,
  });
  work(node, world, EXECUTE_MS, () => countPending(node, world));
};

/** Memory and unfinished writes are gone; the mempool is read again from the bus, which keeps it. */
export const crash = (node: SimulatedNode): void => {
  node.alive = false;
  node.life += 1;
  node.held = [];
  node.timers.clear();
  node.ledger.forks.clear();
};
