/** Snapshots of a system that nobody runs, for the report and the live view. */
import type { TreeNode } from '#runtime/actor.ts';
import type { Distribution, MetricsReading } from '#runtime/metrics/metrics.ts';
import type { Snapshot } from '#runtime/metrics/snapshot.ts';

export const seconds = (count: number, p50: number, p99: number): Distribution => ({
  count,
  sum: count * p50,
  p50,
  p99,
  atMost: (bound) => (bound >= p99 ? count : 0),
  buckets: {},
});

export const reading = (part: Partial<MetricsReading>): MetricsReading => ({
  counters: {},
  gauges: {},
  distributions: {},
  ...part,
});

export const actorNode = (path: string, part: Partial<TreeNode> = {}): TreeNode => ({
  name: path.split('.').at(-1)!,
  path,
  kind: 'actor',
  state: 'running',
  restarts: 0,
  ...part,
});

/** Two validators of which one is behind, a detector, an enforcer and feedback. */
export const sampleSnapshot = (part: Partial<Snapshot> = {}): Snapshot => ({
  atMs: 10_000,
  tree: {
    name: 'root',
    path: '',
    kind: 'supervisor',
    state: 'running',
    restarts: 0,
    children: [
      actorNode('features', { messages: 7, mailboxDepthMax: 3 }),
      actorNode('v1.executor', { facts: { state_root: 'aa11' } }),
      actorNode('v2.executor', { facts: { state_root: 'aa11' }, restarts: 2 }),
    ],
  },
  readings: [
    {
      path: 'features',
      actor: 'features',
      metrics: reading({ counters: { stage_flows: 1000, stage_vectors: 990 } }),
    },
    {
      path: 'v1.executor',
      actor: 'executor',
      metrics: reading({ counters: { stage_committed: 5, stage_policies: 4 } }),
    },
    {
      path: 'v2.executor',
      actor: 'executor',
      metrics: reading({ counters: { stage_committed: 3, stage_policies: 2 } }),
    },
    {
      path: 'v1.replica',
      actor: 'replica',
      metrics: reading({
        gauges: { consensus_height: 9, consensus_view: 12 },
        counters: { consensus_blocks: 9 },
        distributions: { commit_latency_seconds: seconds(1, 0.01, 0.02) },
      }),
    },
    {
      path: 'v2.replica',
      actor: 'replica',
      metrics: reading({
        gauges: { consensus_height: 8 },
        distributions: { commit_latency_seconds: seconds(3, 0.03, 0.06) },
      }),
    },
  ],
  deadLetters: { total: 2, byReason: { 'no-such-actor': 2 } },
  notices: [{ atMs: 0, path: 'v1.executor', topic: 'policy', text: 'drop 10.0.0.1\u001b[31m' }],
  ...part,
});
