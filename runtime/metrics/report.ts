/** The report of a run: what went through, how fast, what went wrong. */
import {
  actorNodes,
  counterOf,
  gaugeOf,
  type Quantiles,
  quantilesMs,
  type Snapshot,
  STAGES,
  type Stage,
  stagesOf,
  stateRootsOf,
} from './snapshot.ts';

export type Report = {
  readonly stages: { readonly [S in Stage]: number };
  readonly consensus: {
    readonly height: number;
    readonly blocks: number;
    /** The highest view that a replica is in. */
    readonly views: number;
    readonly viewChanges: number;
    /** A leader's own proposal sent until its block is committed; null when none was. */
    readonly commitLatencyMs: Quantiles | null;
  };
  /** Null where nothing was observed. */
  readonly latencyMs: {
    readonly flowToCommit: Quantiles | null;
    readonly commitToApply: Quantiles | null;
    /** A policy and its proof in the agent's mailbox until what enforces has confirmed it. */
    readonly heardToApplied: Quantiles | null;
    readonly commitToFeedback: Quantiles | null;
  };
  readonly actors: readonly {
    readonly name: string;
    readonly restarts: number;
    readonly mailboxDepthMax: number;
    readonly messages: number;
  }[];
  readonly deadLetters: Snapshot['deadLetters'];
  readonly stateRoots: { readonly [validator: string]: string };
};

export const reportOf = (snapshot: Snapshot): Report => ({
  stages: stagesOf(snapshot),
  consensus: {
    height: gaugeOf(snapshot, 'replica', 'consensus_height'),
    blocks: counterOf(snapshot, 'replica', 'consensus_blocks'),
    views: gaugeOf(snapshot, 'replica', 'consensus_view'),
    viewChanges: counterOf(snapshot, 'replica', 'consensus_view_changes'),
    commitLatencyMs: quantilesMs(snapshot, 'replica', 'commit_latency_seconds'),
  },
  latencyMs: {
    flowToCommit: quantilesMs(snapshot, 'feedback', 'flow_to_commit_seconds'),
    commitToApply: quantilesMs(snapshot, 'enforcer', 'commit_to_apply_seconds'),
    heardToApplied: quantilesMs(snapshot, 'enforcer', 'heard_to_applied_seconds'),
    commitToFeedback: quantilesMs(snapshot, 'feedback', 'commit_to_feedback_seconds'),
  },
  actors: actorNodes(snapshot.tree).map((node) => ({
    name: node.path,
    restarts: node.restarts,
    mailboxDepthMax: node.mailboxDepthMax ?? 0,
    messages: node.messages ?? 0,
  })),
  deadLetters: {
    total: snapshot.deadLetters.total,
    byReason: snapshot.deadLetters.byReason,
  },
  stateRoots: stateRootsOf(snapshot.tree),
});

const quantiles = (value: Quantiles | null): string =>
  value === null ? 'nothing observed' : `p50 ${value.p50} ms, p99 ${value.p99} ms`;

const columns = (rows: readonly (readonly string[])[], isNamed = true): string[] => {
  const widths = rows[0]!.map((_, k) => Math.max(...rows.map((row) => row[k]!.length)));
  return rows.map((row) =>
    `  ${row
      .map((cell, k) => (k === 0 && isNamed ? cell.padEnd(widths[k]!) : cell.padStart(widths[k]!)))
      .join('  ')}`.trimEnd(),
  );
};

const rootLines = (report: Report): string[] => {
  const roots = Object.entries(report.stateRoots);
  if (roots.length === 0) return [];
  const distinct = new Set(roots.map(([, root]) => root)).size;
  const verdict = distinct === 1 ? 'equal' : `${distinct} different`;
  const rows = roots.map(([validator, root]) => `  ${validator}  ${root}`);
  return ['', `State roots (${verdict})`, ...rows];
};

/** The report for people. */
export const reportTable = (report: Report): string => {
  const { consensus, latencyMs, deadLetters } = report;
  const counts = STAGES.map(([stage]) => `${report.stages[stage]}`);
  const stages = columns([STAGES.map(([stage]) => stage), counts], false);
  const actors = columns([
    ['actor', 'messages', 'deepest mailbox', 'restarts'],
    ...report.actors.map((one) => [
      one.name,
      `${one.messages}`,
      `${one.mailboxDepthMax}`,
      `${one.restarts}`,
    ]),
  ]);
  const letters = Object.entries(deadLetters.byReason).map(([reason, n]) => `${reason} ${n}`);
  return [
    'Stages',
    ...stages,
    '',
    'Consensus',
    `  height ${consensus.height}, blocks ${consensus.blocks}, views ${consensus.views}, view changes ${consensus.viewChanges}`,
    `  commit: ${quantiles(consensus.commitLatencyMs)}`,
    '',
    'Latency',
    `  flow to commit: ${quantiles(latencyMs.flowToCommit)}`,
    `  commit to apply: ${quantiles(latencyMs.commitToApply)}`,
    `  policy heard to applied: ${quantiles(latencyMs.heardToApplied)}`,
    `  commit to feedback: ${quantiles(latencyMs.commitToFeedback)}`,
    '',
    'Actors',
    ...actors,
    '',
    `Dead letters: ${deadLetters.total}${letters.length > 0 ? ` (${letters.join(', ')})` : ''}`,
    ...rootLines(report),
  ].join('\n');
};
