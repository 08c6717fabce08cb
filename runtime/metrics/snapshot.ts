/** What the running system says of itself at one moment: the input of the report and of the live view. */
import type { TreeNode } from '../actor.ts';
import type { Distribution, MetricsReading } from './metrics.ts';

export type ActorReading = {
  readonly path: string;
  /** Which actor it is: the folder under `actors/`. */
  readonly actor: string;
  readonly metrics: MetricsReading;
};

export type Notice = {
  readonly atMs: number;
  readonly path: string;
  readonly topic: string;
  readonly text: string;
};

export type Snapshot = {
  readonly atMs: number;
  readonly tree: TreeNode;
  readonly readings: readonly ActorReading[];
  readonly deadLetters: {
    readonly total: number;
    readonly byReason: { readonly [reason: string]: number };
  };
  /** The newest, oldest first. */
  readonly notices: readonly Notice[];
};

/** The stages of the pipeline in its order, with the actor that counts each. */
export const STAGES = [
  ['flows', 'features'],
  ['vectors', 'features'],
  ['detections', 'ensemble'],
  ['published', 'signer'],
  ['admitted', 'ingest'],
  ['rejected', 'ingest'],
  ['committed', 'executor'],
  ['policies', 'executor'],
  ['applied', 'enforcer'],
  ['acked', 'enforcer'],
] as const;

export type Stage = (typeof STAGES)[number][0];

const of = (snapshot: Snapshot, actor: string): readonly MetricsReading[] =>
  snapshot.readings.filter((one) => one.actor === actor).map((one) => one.metrics);

/** Of several validators the one that is furthest: each of them counts the same transactions. */
const furthest = (values: readonly number[]): number => Math.max(0, ...values);

/** What passed each stage since the start. */
export const stagesOf = (snapshot: Snapshot): { readonly [S in Stage]: number } => {
  const counts = STAGES.map(([stage, actor]) => [
    stage,
    furthest(of(snapshot, actor).map((metrics) => metrics.counters[`stage_${stage}`] ?? 0)),
  ]);
  return Object.fromEntries(counts) as { readonly [S in Stage]: number };
};

export const gaugeOf = (snapshot: Snapshot, actor: string, name: string): number =>
  furthest(of(snapshot, actor).map((metrics) => metrics.gauges[name] ?? 0));

export const counterOf = (snapshot: Snapshot, actor: string, name: string): number =>
  furthest(of(snapshot, actor).map((metrics) => metrics.counters[name] ?? 0));

export type Quantiles = { readonly p50: number; readonly p99: number };

/**
 * Quantiles in milliseconds of a distribution in seconds. Of several actors that observe different things
 * (a replica its own proposals), the quantiles are averaged by the number of observations.
 */
export const quantilesMs = (snapshot: Snapshot, actor: string, name: string): Quantiles | null => {
  const all = of(snapshot, actor)
    .map((metrics) => metrics.distributions[name])
    .filter((one): one is Distribution => one !== undefined && one.count > 0);
  const count = all.reduce((sum, one) => sum + one.count, 0);
  if (count === 0) return null;
  const mean = (pick: (one: Distribution) => number): number =>
    Math.round((all.reduce((sum, one) => sum + pick(one) * one.count, 0) / count) * 1e5) / 100;
  return { p50: mean((one) => one.p50), p99: mean((one) => one.p99) };
};

/** Every actor of the tree, in its order. */
export const actorNodes = (node: TreeNode): readonly TreeNode[] =>
  node.kind === 'actor' ? [node] : (node.children ?? []).flatMap(actorNodes);

/** Restarts of all actors together. */
export const restartsOf = (node: TreeNode): number =>
  actorNodes(node).reduce((sum, one) => sum + one.restarts, 0);

/** A fact by the name of the branch of who said it. */
export const factsOf = (tree: TreeNode, fact: string): { readonly [branch: string]: string } =>
  Object.fromEntries(
    actorNodes(tree).flatMap((node) => {
      const value = node.facts?.[fact];
      return value === undefined ? [] : [[node.path.split('.').at(-2) ?? node.name, value]];
    }),
  );

/** The state root of each validator, by the name of its branch. */
export const stateRootsOf = (tree: TreeNode): { readonly [validator: string]: string } =>
  factsOf(tree, 'state_root');

/** Why agents of this node enforce nothing, by their branch or name; none while they do. */
export const brakesOf = (tree: TreeNode): { readonly [agent: string]: string } =>
  Object.fromEntries(Object.entries(factsOf(tree, 'brake')).filter(([, why]) => why !== ''));

/** How far each validator is with its genesis: `agreed`, or what it waits for and whom it refuses. */
export const genesisOf = (tree: TreeNode): { readonly [validator: string]: string } =>
  factsOf(tree, 'genesis');
