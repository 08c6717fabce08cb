/** The live status as lines of text. Pure: two snapshots and a width in, lines out. */
import type { TreeNode } from '#runtime/actor.ts';
import {
  actorNodes,
  counterOf,
  gaugeOf,
  quantilesMs,
  restartsOf,
  type Snapshot,
  STAGES,
  stagesOf,
  stateRootsOf,
} from '#runtime/metrics/snapshot.ts';

export type ViewHeader = {
  readonly node: string;
  readonly topology: string;
  readonly startedAtMs: number;
  /** Where the API listens, e.g. `http://127.0.0.1:8080/api/v1`; '' without one. */
  readonly api: string;
  /** A line about the input: `synthetic traffic (made up)`. */
  readonly source: string;
};

const NOTICES_SHOWN = 6;

const number = (value: number): string => Math.round(value).toLocaleString('en-US');

/** At most three digits: 0.4, 12, 950, 1.2k. */
const rate = (perSecond: number): string => {
  if (perSecond >= 10_000) return `${Math.round(perSecond / 1000)}k/s`;
  if (perSecond >= 1000) return `${(perSecond / 1000).toFixed(1)}k/s`;
  return perSecond >= 10 || perSecond === 0
    ? `${Math.round(perSecond)}/s`
    : `${perSecond.toFixed(1)}/s`;
};

const duration = (ms: number): string => {
  const seconds = Math.floor(ms / 1000);
  const parts = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
};

const stageLines = (now: Snapshot, before: Snapshot | undefined): string[] => {
  const counts = stagesOf(now);
  const earlier = before === undefined ? undefined : stagesOf(before);
  const seconds = before === undefined ? 0 : Math.max(0.001, (now.atMs - before.atMs) / 1000);
  const cells = STAGES.map(([stage]) => {
    const growth = earlier === undefined ? 0 : (counts[stage] - earlier[stage]) / seconds;
    return [stage, number(counts[stage]), rate(Math.max(0, growth))];
  });
  const widths = cells.map((cell) => Math.max(...cell.map((text) => text.length)));
  return [0, 1, 2].map((row) => cells.map((cell, k) => cell[row]!.padStart(widths[k]!)).join('  '));
};

const consensusLines = (now: Snapshot): string[] => {
  if (!now.readings.some((one) => one.actor === 'replica')) return [];
  const roots = Object.entries(stateRootsOf(now.tree));
  const height = gaugeOf(now, 'replica', 'consensus_height');
  const view = gaugeOf(now, 'replica', 'consensus_view');
  const changes = counterOf(now, 'replica', 'consensus_view_changes');
  const latency = quantilesMs(now, 'replica', 'commit_latency_seconds');
  const commit = latency === null ? '' : `   commit p50 ${latency.p50} ms`;
  const shown = roots.map(([name, root]) => `${name} ${root.slice(0, 8)}`).join('  ');
  return [
    `height ${number(height)}   view ${number(view)}   view changes ${number(changes)}${commit}`,
    ...(roots.length === 0 ? [] : [`state roots  ${shown}`]),
  ];
};

const troubled = (tree: TreeNode): string[] =>
  actorNodes(tree)
    .filter(
      ({ restarts, suspended, state }) =>
        restarts > 0 || suspended || state === 'failed' || state === 'starting',
    )
    .slice(0, 6)
    .map(({ path, restarts, suspended, state }) => {
      const times = restarts > 0 ? `, ${restarts}x` : '';
      return `${path} (${suspended ? 'suspended' : state}${times})`;
    });

const noticeLines = (now: Snapshot): string[] =>
  now.notices
    .slice(-NOTICES_SHOWN)
    .map(
      ({ atMs, topic, text }) => `${new Date(atMs).toISOString().slice(11, 19)} ${topic}: ${text}`,
    );

/** Without control characters (text of a notice may come from traffic) and no longer than the screen. */
const fitted = (line: string, width: number): string => {
  const clean = line.replaceAll(/\p{C}/gu, ' ');
  return clean.length <= width ? clean : `${clean.slice(0, Math.max(0, width - 1))}…`;
};

/** `before` is an earlier snapshot that rates are counted from. */
export const statusLines = (
  header: ViewHeader,
  now: Snapshot,
  before: Snapshot | undefined,
  width: number,
): string[] => {
  const restarts = restartsOf(now.tree);
  const trouble = troubled(now.tree);
  const notices = noticeLines(now);
  const { total } = now.deadLetters;
  return [
    `CyberMesh ${header.node}   ${header.topology}   up ${duration(now.atMs - header.startedAtMs)}`,
    ...(header.source === '' ? [] : [`input  ${header.source}`]),
    '',
    ...stageLines(now, before),
    '',
    ...consensusLines(now),
    `restarts ${restarts}   dead letters ${total}${trouble.length > 0 ? `   ${trouble.join(', ')}` : ''}`,
    ...(header.api === '' ? [] : [`API  ${header.api}`]),
    ...(notices.length === 0 ? [] : ['', ...notices]),
  ].map((line) => fitted(line, width));
};
