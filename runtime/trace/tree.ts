/** Spans as trees of cause and consequence. Pure. */
import type { Span } from './sightings.ts';

export type Hop = {
  readonly span: Span;
  /**
   * Milliseconds from the end of the step that sent it (what a step says is visible when it ends) to the beginning of
   * this one; of a timer, its time. Undefined where that step is not known here.
   */
  readonly waitedMs: number | undefined;
  readonly next: readonly Hop[];
};

export type TraceTree = {
  readonly trace: string;
  readonly startMs: number;
  readonly elapsedMs: number;
  readonly spans: number;
  readonly actors: number;
  /** Those that began it, and those whose cause is not among the spans (in another process, or overwritten). */
  readonly roots: readonly Hop[];
};

const treeOf = (trace: string, spans: readonly Span[]): TraceTree => {
  const hops = new Map<string, Hop & { readonly next: Hop[] }>();
  const byId = new Map(spans.map((span) => [span.span, span]));
  for (const span of byId.values()) {
    const parent = byId.get(span.parent);
    const gapMs = parent && span.startMs - parent.startMs - parent.handledMs;
    // What is handled inside of the step that read it (a record of a batch) waits for nothing.
    const waitedMs = gapMs === undefined ? undefined : Math.max(0, gapMs);
    hops.set(span.span, { span, waitedMs, next: [] });
  }
  const roots: Hop[] = [];
  for (const hop of hops.values()) {
    const { parent, span } = hop.span;
    const above = parent === span ? undefined : hops.get(parent);
    (above?.next ?? roots).push(hop);
  }
  const startMs = spans.reduce((least, span) => Math.min(least, span.startMs), Infinity);
  const endMs = spans.reduce((most, span) => Math.max(most, span.startMs + span.handledMs), 0);
  return {
    trace,
    startMs,
    elapsedMs: endMs - startMs,
    spans: hops.size,
    actors: new Set(spans.map((span) => span.actor)).size,
    roots,
  };
};

/** One tree for each trace, in the order of their beginnings. */
export const traceTrees = (spans: readonly Span[]): readonly TraceTree[] => {
  const byTrace = new Map<string, Span[]>();
  const sorted = [...spans].sort((a, b) => a.startMs - b.startMs);
  for (const span of sorted) {
    const known = byTrace.get(span.trace);
    if (known === undefined) byTrace.set(span.trace, [span]);
    else known.push(span);
  }
  return [...byTrace].map(([trace, own]) => treeOf(trace, own));
};

/** Three digits that matter: 0.012, 1.23, 123. */
export const millis = (ms: number): string =>
  ms >= 100 ? ms.toFixed(0) : ms >= 1 ? ms.toFixed(2) : ms.toFixed(3);

const WAIT: { readonly [cause in Span['cause']]: string } = {
  message: 'queued',
  answer: 'answered after',
  timer: 'timer',
  io: 'io',
  own: 'queued',
  start: 'queued',
  record: 'queued',
};

type Row = { readonly what: string; readonly when: string };

const rowOf = ({ span, waitedMs }: Hop, startMs: number, branch: string): Row => {
  const outside = span.parent !== '' && waitedMs === undefined ? ' (its cause is not here)' : '';
  const waited = waitedMs === undefined ? '' : `${WAIT[span.cause]} ${millis(waitedMs)}, `;
  return {
    what: `${branch}${span.actor}  ${span.kind}${outside}`,
    when: `+${millis(span.startMs - startMs)}  ${waited}handled ${millis(span.handledMs)}`,
  };
};

/** Longer trees are cut, and say so. */
export const HOPS_SHOWN_MAX = 2000;

/** A heading and one line a hop, times in milliseconds. */
export const treeText = (tree: TraceTree): readonly string[] => {
  const rows: Row[] = [];
  // Without recursion: a trace may be a chain of thousands.
  const waiting: { readonly hop: Hop; readonly branch: string; readonly below: string }[] = [];
  for (const hop of [...tree.roots].reverse()) waiting.push({ hop, branch: '', below: '' });
  while (waiting.length > 0 && rows.length < HOPS_SHOWN_MAX) {
    const { hop, branch, below } = waiting.pop()!;
    rows.push(rowOf(hop, tree.startMs, branch));
    for (const [k, next] of [...hop.next].reverse().entries()) {
      const [mark, more] = k === 0 ? ['└─ ', '   '] : ['├─ ', '│  '];
      waiting.push({ hop: next, branch: below + mark, below: below + more });
    }
  }
  const width = Math.min(72, Math.max(0, ...rows.map((row) => row.what.length)));
  const left = tree.spans - rows.length;
  const { trace, spans, actors, elapsedMs, startMs } = tree;
  return [
    `trace ${trace}  ${new Date(startMs).toISOString()}  ${spans} steps of ${actors} actors in ${millis(elapsedMs)} ms`,
    ...rows.map(({ what, when }) => `${what.padEnd(width)}  ${when}`),
    ...(left > 0 ? [`and ${left} more steps (-o json has them)`] : []),
  ];
};
