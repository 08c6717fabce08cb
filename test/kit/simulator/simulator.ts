/**
 * Deterministic simulation: the production machine on simulated disks, clocks and wires, all chance from one seed.
 * The same seed gives the same trace, event for event, and so the same hash.
 */
import { createHash } from 'node:crypto';
import { LIMITS, type Limits, type Params } from '#actors/replica/machine/events.ts';
import { RULES, type Rules } from '#actors/replica/machine/rules.ts';
import { hex, utf8 } from '#proto/bytes.ts';
import { committeeOf } from '#proto/consensus/committee.ts';
import { genesisHeader, ZERO_HASH } from '#proto/consensus/header.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { Transaction } from '#proto/consensus/transaction.ts';
import type { Crypto } from '#proto/crypto.ts';
import { type FaultKind, scheduleFaults } from './faults.ts';
import { type Heap, heap } from './heap.ts';
import { type Invariants, invariants, type Violation } from './invariants.ts';
import { idOf } from './ledger.ts';
import { type Network, network, type Script } from './network.ts';
import { admit, boot, feed, type SimulatedNode, simulatedNode, type World } from './node.ts';
import { type Random, random } from './random.ts';
import { type SimulatedKey, simulatedCrypto, simulatedKey } from './signatures.ts';

export type RunOptions = {
  readonly seed: number;
  readonly n: number;
  /** Validators (by place) of which a second instance runs with the same key. */
  readonly twins?: readonly number[];
  /** Place of the leader of a view; otherwise as in production. */
  readonly leaders?: (view: number) => number;
  /** Groups of instances that hear only each other, until faults end. */
  readonly partitions?: readonly (readonly number[])[];
  readonly faults?: readonly FaultKind[];
  readonly mutant?: Partial<Rules>;
  readonly script?: Script;
  /** How long faults last, and how long the network then has to prove that it lives. Simulated time. */
  readonly faultsMs?: number;
  readonly calmMs?: number;
  readonly transactions?: number;
  readonly eventsMax?: number;
  /** Other times than in production: shorter views, more of them. */
  readonly limits?: Partial<Limits>;
  /** Keys and their crypto; otherwise a cheap stand-in. */
  readonly keys?: { readonly pairs: readonly SimulatedKey[]; readonly crypto: Crypto };
  /** Judge by this invariant alone, and go on to the end after it is violated. */
  readonly only?: string;
};

export type RunStats = {
  readonly events: number;
  /** Delivered, by kind. */
  readonly messages: { readonly [kind: string]: number };
  readonly heights: number;
  readonly viewChanges: number;
  readonly faults: readonly FaultKind[];
  readonly crashes: number;
  readonly simulatedMs: number;
  readonly evidence: Invariants['evidence'];
  /** Whether everything came to rest: no timers but the heartbeats', no view made. */
  readonly silent: boolean;
};

export type RunResult = {
  readonly trace: readonly string[];
  readonly hash: string;
  readonly violation?: Violation;
  readonly stats: RunStats;
};

export type Simulation = {
  readonly options: RunOptions;
  readonly nodes: readonly SimulatedNode[];
  readonly world: World;
  readonly network: Network;
  readonly chance: Random;
  readonly byzantine: Set<HashHex>;
  /** At an absolute simulated time. */
  at(timeMs: number, run: () => void): void;
  crashes: number;
};

const START_MS = 1_700_000_000_000;
const TRACE_MAX = 2_000;
/** How long the calm lasts at a time: it ends when all is committed and at rest. */
const SETTLE_MS = 5_000;
const CHAIN = 'simulated';

const paramsOf = (options: RunOptions): { readonly params: Params[]; readonly rules: Rules } => {
  const keys =
    options.keys?.pairs ?? Array.from({ length: options.n }, (_, index) => simulatedKey(index));
  const crypto = options.keys?.crypto ?? simulatedCrypto;
  const members = keys.map(({ publicKey }, index) => ({
    name: `v${index + 1}`,
    publicKey,
    weight: 1,
  }));
  const committee = committeeOf(CHAIN, 0, members, crypto);
  const genesis = genesisHeader({
    chainId: CHAIN,
    configHash: ZERO_HASH,
    stateRoot: ZERO_HASH,
    timeMs: START_MS - 1_000,
  });
  const params = keys.map(({ publicKey, sign }) => ({
    self: hex(crypto.sha256(publicKey)),
    committee,
    genesis,
    crypto,
    sign,
    limits: { ...LIMITS, ...options.limits },
  }));
  const { leaders } = options;
  const leader = leaders && ((_: unknown, view: number) => (params[leaders(view)] as Params).self);
  return { params, rules: { ...RULES, ...(leader ? { leader } : {}), ...options.mutant } };
};

const instancesOf = (options: RunOptions): SimulatedNode[] => {
  const { params, rules } = paramsOf(options);
  const places = [...params.keys(), ...(options.twins ?? [])];
  return places.map((place, index) => {
    const name = index < options.n ? `v${place + 1}` : `v${place + 1}'`;
    return simulatedNode(index, name, params[place] as Params, rules);
  });
};

export const transaction = (number: number): Transaction => ({
  kind: 'anomaly',
  bytes: utf8(`transaction ${number}`),
});

/** As the bus does: to every validator, at its own time; sometimes only one gets it and must forward it. */
const scheduleTransactions = (simulation: Simulation, faultsMs: number, count: number): void => {
  const { chance, nodes, world } = simulation;
  for (let number = 0; number < count; number += 1) {
    const tx = transaction(number);
    const startMs = chance.real() * faultsMs;
    const only = chance.chance(0.2) ? chance.int(0, nodes.length - 1) : -1;
    for (const node of nodes) {
      if (only >= 0 && node.index !== only) continue;
      simulation.at(startMs + chance.real() * 100, () => admit(node, world, [tx], true));
    }
  }
};

/** Everybody gets it when the faults are over: whoever is honest must have committed it by the end. */
const LAST = 1_000_000;

const liveness = (simulation: Simulation): string | undefined => {
  const last = idOf(transaction(LAST));
  const late = simulation.nodes.filter(
    (node) => !simulation.byzantine.has(node.id) && !node.ledger.included.has(last),
  );
  if (late.length === 0) return undefined;
  const where = late.map(
    ({ name, machine }) => `${name}@${machine.view}/${machine.head.header.height}`,
  );
  return where.join(' ');
};

const isSilent = ({ nodes, byzantine }: Simulation): boolean =>
  nodes.every(
    (node) => byzantine.has(node.id) || [...node.timers.keys()].every((id) => id === 'heartbeat'),
  );

type Running = Simulation & {
  readonly judge: Invariants;
  readonly stats: { events: number; readonly messages: { [kind: string]: number } };
  readonly trace: string[];
  /** Of the whole trace. */
  hash(): string;
  /** Runs what is due until then; stops early where `halt` says so. */
  runUntil(timeMs: number, halt?: () => boolean): void;
};

/** A world at rest: nobody has booted, nothing is scheduled. */
export const simulate = (options: RunOptions): Running => {
  const chance = random(options.seed);
  const nodes = instancesOf(options);
  const queue = heap();
  const byzantine = new Set(
    (options.twins ?? []).map((place) => (nodes[place] as SimulatedNode).id),
  );
  const judge = invariants(byzantine, options.only);
  const digest = createHash('sha256');
  const trace: string[] = [];
  const stats = { events: 0, messages: {} as { [kind: string]: number } };
  let nowMs = START_MS;
  const later = (delayMs: number, act: () => void): void => queue.push(nowMs + delayMs, act);
  const net = network(
    () => nodes,
    chance,
    later,
    (to, from, message) => {
      stats.messages[message.kind] = (stats.messages[message.kind] ?? 0) + 1;
      feed(to, world, { kind: 'message', from, message });
    },
    options.script,
    () => nowMs - START_MS,
  );
  const record = (node: SimulatedNode, what: string): void => {
    const { view, head } = node.machine;
    const line = `${(nowMs - START_MS).toFixed(1)} ${node.name} ${what} v${view} h${head.header.height}`;
    digest.update(line);
    trace.push(line);
    if (trace.length > TRACE_MAX) trace.splice(0, TRACE_MAX / 2);
  };
  const world: World = {
    nowMs: () => nowMs,
    later,
    cost: (meanMs) => meanMs * (0.5 + chance.real()),
    transmit: net.transmit,
    hooks: {
      ...judge.hooks,
      stepped: (node, event) => {
        stats.events += 1;
        record(node, event.kind === 'message' ? `<${event.message.kind}` : event.kind);
        judge.hooks.stepped(node, event);
      },
    },
  };
  const setClock = (timeMs: number): void => {
    nowMs = timeMs;
  };
  return {
    options,
    nodes,
    world,
    network: net,
    chance,
    byzantine,
    at: (timeMs, act) => queue.push(START_MS + timeMs, act),
    crashes: 0,
    judge,
    stats,
    trace,
    hash: () => digest.copy().digest('hex'),
    runUntil: (timeMs, halt = () => false) => advance(queue, START_MS + timeMs, setClock, halt),
  };
};

const advance = (
  queue: Heap,
  untilMs: number,
  setClock: (timeMs: number) => void,
  halt: () => boolean,
): void => {
  while (!halt()) {
    const next = queue.pop();
    if (next === undefined) return;
    if (next.atMs > untilMs) {
      queue.push(next.atMs, next.run);
      return setClock(untilMs);
    }
    setClock(next.atMs);
    next.run();
  }
};

export const run = (options: RunOptions): RunResult => {
  const { faultsMs = 20_000, calmMs = 40_000, eventsMax = 100_000, faults = [] } = options;
  const simulation = simulate(options);
  const { nodes, world, chance, judge, stats } = simulation;
  for (const node of nodes) simulation.at(chance.real() * 20, () => boot(node, world));
  scheduleTransactions(simulation, faultsMs, options.transactions ?? 60);
  scheduleFaults(simulation, faults, faultsMs);
  simulation.at(faultsMs + 1_000, () => {
    for (const node of nodes) admit(node, world, [transaction(LAST)], true);
  });
  const isOver = (): boolean =>
    (judge.violation() !== undefined && !options.only) || stats.events >= eventsMax;
  const settled = (): boolean => isSilent(simulation) && liveness(simulation) === undefined;
  simulation.runUntil(faultsMs + SETTLE_MS, isOver);
  for (let spent = SETTLE_MS; spent < calmMs && !settled() && !isOver(); spent += SETTLE_MS) {
    simulation.runUntil(faultsMs + spent + SETTLE_MS, isOver);
  }
  const views = nodes.map((node) => node.machine.view);
  if (settled()) simulation.runUntil(world.nowMs() - START_MS + SETTLE_MS, isOver);
  const isAtRest = nodes.every((node, index) => node.machine.view === views[index]);
  let violation = judge.violation();
  const late = violation === undefined && !options.only ? liveness(simulation) : undefined;
  if (late !== undefined)
    violation = { invariant: 'liveness after the network heals', detail: late };
  return {
    trace: simulation.trace,
    hash: simulation.hash(),
    ...(violation ? { violation } : {}),
    stats: {
      ...stats,
      heights: judge.heights(),
      viewChanges: Math.max(...nodes.map((node) => node.machine.viewChanges)),
      faults,
      crashes: simulation.crashes,
      simulatedMs: world.nowMs() - START_MS,
      evidence: judge.evidence,
      silent: isSilent(simulation) && isAtRest,
    },
  };
};
