/** Traces of several running nodes as those of one. Where there are several, paths begin with the node's name: `n1:bus`. */
import type { ControlClient } from '#runtime/control/control.ts';
import type { Span, TapReading, TapWish, TraceSummary } from '#runtime/trace/sightings.ts';

type Node = Pick<ControlClient, 'openTap' | 'readTap' | 'closeTap' | 'traces' | 'spansOf'>;

/** Whom to ask, and what goes before its paths. */
export type Named = { readonly node: Node; readonly label: string };

/** Asks nodes for their names where there is more than one. */
export const namedNodes = async (nodes: readonly ControlClient[]): Promise<readonly Named[]> => {
  if (nodes.length === 1) return nodes.map((node) => ({ node, label: '' }));
  const all = await Promise.all(nodes.map((node) => node.status()));
  return nodes.map((node, k) => ({ node, label: `${all[k]!.node}:` }));
};

const labelled = (label: string, path: string): string => (path === '' ? '' : label + path);

export type Taps = {
  /** What came since the last reading, in the order of the steps. */
  readonly read: () => Promise<TapReading>;
  readonly close: () => Promise<void>;
};

/** One live trace on each node that knows the actors of the wish; rejects when none does. */
export const openTaps = async (nodes: readonly Named[], wish: TapWish): Promise<Taps> => {
  const opened = await Promise.allSettled(nodes.map(({ node }) => node.openTap(wish)));
  const taps = opened.flatMap((one, k) =>
    one.status === 'fulfilled' ? [{ ...nodes[k]!, id: one.value }] : [],
  );
  if (taps.length === 0) throw (opened[0] as PromiseRejectedResult).reason;
  const readOne = async ({ node, label, id }: (typeof taps)[number]): Promise<TapReading> => {
    const { lines, leftOut } = await node.readTap(id);
    const shown = lines.map((line) => ({
      ...line,
      from: labelled(label, line.from),
      to: labelled(label, line.to),
    }));
    return { lines: shown, leftOut };
  };
  return {
    read: async () => {
      const readings = await Promise.all(taps.map(readOne));
      const lines = readings.flatMap((one) => one.lines).sort((a, b) => a.atMs - b.atMs);
      return { lines, leftOut: readings.reduce((sum, one) => sum + one.leftOut, 0) };
    },
    close: async () => {
      await Promise.all(taps.map(({ node, id }) => node.closeTap(id)));
    },
  };
};

/** Spans of all nodes; what one of them sent to another has its cause there. */
export const spansOf = async (
  nodes: readonly Named[],
  prefix: string,
): Promise<readonly Span[]> => {
  const all = await Promise.all(
    nodes.map(async ({ node, label }) =>
      (await node.spansOf(prefix)).map((span) => ({
        ...span,
        actor: labelled(label, span.actor),
        from: labelled(label, span.from),
      })),
    ),
  );
  return all.flat();
};

const joined = (first: TraceSummary, later: TraceSummary): TraceSummary => ({
  ...first,
  elapsedMs: Math.max(first.elapsedMs, later.startMs + later.elapsedMs - first.startMs),
  spans: first.spans + later.spans,
  actors: first.actors + later.actors,
});

/** The same trace on several nodes is one; those with the most actors first, then the newest. */
export const tracesOf = async (
  nodes: readonly Named[],
  most: number,
): Promise<readonly TraceSummary[]> => {
  const all = await Promise.all(
    nodes.map(async ({ node, label }) =>
      (await node.traces(most)).map((one) => ({ ...one, actor: labelled(label, one.actor) })),
    ),
  );
  const byTrace = new Map<string, TraceSummary>();
  for (const one of all.flat().sort((a, b) => a.startMs - b.startMs)) {
    const known = byTrace.get(one.trace);
    byTrace.set(one.trace, known === undefined ? one : joined(known, one));
  }
  return [...byTrace.values()]
    .sort((a, b) => b.actors - a.actors || b.startMs - a.startMs)
    .slice(0, most);
};
