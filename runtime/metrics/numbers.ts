/** The numbers of a running system: read from shared memory, so a hung thread is seen as well as any other. */
import type { TreeNode } from '../actor.ts';
import type { DeadLetters } from '../events.ts';
import type { SupervisorSpec } from '../spec.ts';
import { joinPath } from '../system/directory.ts';
import type { Member, Population } from '../system/population.ts';
import type { Facts } from '../system/record.ts';
import type { Beat } from '../system/thread.ts';
import { type Distribution, readMetrics } from './metrics.ts';

export type ActorNumbers = {
  readonly path: string;
  readonly actor: string;
  readonly thread: number;
  readonly state: Member['state'];
  readonly restarts: number;
  readonly messages: number;
  readonly depth: number;
  readonly depthMax: number;
  /** By an operator. */
  readonly suspended: boolean;
  /** Seconds a message. */
  readonly handling: Distribution | undefined;
  /** As emitted by the actor, without prefix. */
  readonly counters: { readonly [name: string]: number };
  readonly gauges: { readonly [name: string]: number };
  readonly distributions: { readonly [name: string]: Distribution };
  readonly deadLetters: { readonly [reason: string]: number };
};

export type MetricsSnapshot = {
  readonly actors: readonly ActorNumbers[];
  /** The last heartbeat of each thread. */
  readonly threads: readonly (Beat & { readonly thread: number })[];
  readonly deadLetters: DeadLetters;
  /** Spare threads that could take the place of a dead one now. */
  readonly sparesReady: number;
  /** Slabs that nobody holds. */
  readonly slabsFree: number;
  /** What the runtime counts of itself. */
  readonly runtime: readonly RuntimeNumber[];
};

/** Name without prefix; `labels` may be empty. */
export type RuntimeNumber = {
  readonly name: string;
  readonly kind: 'counter' | 'gauge';
  readonly labels: { readonly [name: string]: string };
  readonly value: number;
};

const DEAD = 'dead_letters:';
/** Written by the runtime itself into an actor's metrics. */
const OWN = new Set(['messages', 'handling_seconds', 'mailbox_depth_max', 'suspended']);

const without = <T>(record: { readonly [name: string]: T }): { [name: string]: T } =>
  Object.fromEntries(
    Object.entries(record).filter(([name]) => !OWN.has(name) && !name.startsWith(DEAD)),
  );

export const numbersOf = (population: Population, member: Member): ActorNumbers => {
  const { counters, gauges, distributions } = readMetrics(member.metrics);
  const depth = population.depth(member);
  const dead = Object.entries(counters).filter(([name]) => name.startsWith(DEAD));
  return {
    path: member.place.path,
    actor: member.place.actor,
    thread: member.place.thread,
    state: member.state,
    restarts: member.restarts,
    messages: counters.messages ?? 0,
    depth,
    depthMax: Math.max(depth, gauges.mailbox_depth_max ?? 0),
    suspended: member.state === 'running' && gauges.suspended === 1,
    handling: distributions.handling_seconds,
    counters: without(counters),
    gauges: without(gauges),
    distributions: without(distributions),
    deadLetters: Object.fromEntries(dead.map(([name, n]) => [name.slice(DEAD.length), n])),
  };
};

/** Counted in every actor's shared memory; `unread` are those that the system itself found. */
export const deadLettersOf = (
  population: Population,
  unread: number,
  newest: DeadLetters['newest'],
): DeadLetters => {
  const byReason: Record<string, number> = unread > 0 ? { 'actor-stopped': unread } : {};
  for (const member of population.members) {
    for (const [name, n] of Object.entries(readMetrics(member.metrics).counters)) {
      if (!name.startsWith(DEAD)) continue;
      const reason = name.slice(DEAD.length);
      byReason[reason] = (byReason[reason] ?? 0) + n;
    }
  }
  const total = Object.values(byReason).reduce((sum, n) => sum + n, 0);
  return { total, byReason, newest };
};

const stateOf = (children: readonly TreeNode[]): TreeNode['state'] => {
  const order = ['failed', 'starting', 'stopping', 'running', 'stopped'] as const;
  return order.find((state) => children.some((c) => c.state === state)) ?? 'running';
};

export const treeOf = (
  population: Population,
  facts: Facts,
  spec: SupervisorSpec,
  path = '',
): TreeNode => {
  const children = spec.children.map((child): TreeNode => {
    const own = joinPath(path, child.name);
    if (child.kind === 'supervisor') return treeOf(population, facts, child, own);
    const member = population.members.find((m) => m.place.path === own)!;
    const n = numbersOf(population, member);
    const { thread, state, restarts, messages } = n;
    return {
      name: child.name,
      path: own,
      kind: 'actor',
      actor: child.actor,
      thread,
      state,
      restarts,
      messages,
      mailboxDepth: n.depth,
      mailboxDepthMax: n.depthMax,
      ...(n.suspended ? { suspended: true as const } : {}),
      ...(facts[own] === undefined ? {} : { facts: facts[own] }),
    };
  });
  return {
    name: spec.name,
    path,
    kind: 'supervisor',
    strategy: spec.strategy,
    state: stateOf(children),
    restarts: children.reduce((n, c) => n + c.restarts, 0),
    children,
  };
};
