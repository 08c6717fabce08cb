/** OTLP/HTTP with JSON (opentelemetry-proto 1.x): spans and metrics as bodies of the two requests. Pure. */
import { boundsOf } from '../metrics/bounds.ts';
import type { Distribution } from '../metrics/metrics.ts';
import type { ActorNumbers, MetricsSnapshot } from '../metrics/numbers.ts';
import type { Span } from '../trace/sightings.ts';

/** Who speaks. */
export type Resource = {
  readonly service: string;
  readonly node: string;
  readonly version: string;
  readonly pid: number;
};

type Attribute = {
  readonly key: string;
  readonly value: { readonly stringValue: string } | { readonly intValue: string };
};

const text = (key: string, value: string): Attribute => ({ key, value: { stringValue: value } });

const resourceOf = ({ service, node, version, pid }: Resource) => ({
  attributes: [
    text('service.name', service),
    text('service.instance.id', node),
    text('service.version', version),
    { key: 'process.pid', value: { intValue: String(pid) } },
  ],
});

const scopeOf = ({ version }: Resource) => ({ name: 'cybermesh.runtime', version });

/** Nanoseconds as a decimal text, as JSON has no 64-bit integers. */
const nanos = (unixMs: number): string => String(BigInt(Math.round(unixMs * 1000)) * 1000n);

const INTERNAL = 1;
const CONSUMER = 5;

const spanOf = (span: Span) => ({
  traceId: span.trace,
  spanId: span.span,
  ...(span.parent === '' ? {} : { parentSpanId: span.parent }),
  name: `${span.actor} ${span.kind}`,
  kind: span.from === '' ? INTERNAL : CONSUMER,
  startTimeUnixNano: nanos(span.startMs),
  endTimeUnixNano: nanos(span.startMs + span.handledMs),
  attributes: [
    text('cybermesh.actor', span.actor),
    text('cybermesh.kind', span.kind),
    text('cybermesh.cause', span.cause),
    ...(span.from === '' ? [] : [text('cybermesh.from', span.from)]),
  ],
});

/** Body of POST /v1/traces. */
export const tracesBody = (resource: Resource, spans: readonly Span[]): object => ({
  resourceSpans: [
    {
      resource: resourceOf(resource),
      scopeSpans: [{ scope: scopeOf(resource), spans: spans.map(spanOf) }],
    },
  ],
});

const CUMULATIVE = 2;

type Times = { readonly startMs: number; readonly atMs: number };
type Point = { readonly attributes: readonly Attribute[]; readonly [field: string]: unknown };
type Kind = 'sum' | 'gauge' | 'histogram';

/** Points of one metric, gathered over all actors. */
class Families {
  private readonly byName = new Map<string, { readonly kind: Kind; readonly points: Point[] }>();
  private readonly times: Times;

  constructor(times: Times) {
    this.times = times;
  }

  number(name: string, kind: 'sum' | 'gauge', value: number, attributes: readonly Attribute[]) {
    const start = kind === 'sum' ? { startTimeUnixNano: nanos(this.times.startMs) } : {};
    const timeUnixNano = nanos(this.times.atMs);
    this.put(name, kind, { attributes, ...start, timeUnixNano, asDouble: value });
  }

  histogram(name: string, d: Distribution, attributes: readonly Attribute[]) {
    const bounds = boundsOf(name);
    const atMost = bounds.map((bound) => d.atMost(bound));
    const counts = [...atMost, d.count].map((n, k) => String(n - (k === 0 ? 0 : atMost[k - 1]!)));
    this.put(name, 'histogram', {
      attributes,
      startTimeUnixNano: nanos(this.times.startMs),
      timeUnixNano: nanos(this.times.atMs),
      count: String(d.count),
      sum: d.sum,
      bucketCounts: counts,
      explicitBounds: bounds,
    });
  }

  all(): object[] {
    return [...this.byName].map(([name, { kind, points: dataPoints }]) => {
      const cumulative = { aggregationTemporality: CUMULATIVE };
      if (kind === 'gauge') return { name, gauge: { dataPoints } };
      if (kind === 'sum') return { name, sum: { dataPoints, ...cumulative, isMonotonic: true } };
      return { name, histogram: { dataPoints, ...cumulative } };
    });
  }

  private put(name: string, kind: Kind, point: Point): void {
    const known = this.byName.get(name);
    if (known === undefined) this.byName.set(name, { kind, points: [point] });
    else known.points.push(point);
  }
}

const putActor = (families: Families, a: ActorNumbers): void => {
  const own = [text('actor', a.path)];
  families.number('cybermesh.actor.messages', 'sum', a.messages, own);
  families.number('cybermesh.actor.restarts', 'sum', a.restarts, own);
  families.number('cybermesh.actor.up', 'gauge', a.state === 'running' ? 1 : 0, own);
  families.number('cybermesh.actor.mailbox_depth', 'gauge', a.depth, own);
  if (a.handling !== undefined) {
    families.histogram('cybermesh.actor.handling_seconds', a.handling, own);
  }
  const name = (given: string): string => `cybermesh.${a.actor}.${given}`;
  for (const [given, n] of Object.entries(a.counters)) families.number(name(given), 'sum', n, own);
  for (const [given, n] of Object.entries(a.gauges)) families.number(name(given), 'gauge', n, own);
  for (const [given, d] of Object.entries(a.distributions)) families.histogram(name(given), d, own);
};

/** Body of POST /v1/metrics. */
export const metricsBody = (
  resource: Resource,
  { actors, threads, deadLetters, runtime }: MetricsSnapshot,
  times: Times,
): object => {
  const families = new Families(times);
  for (const actor of actors) putActor(families, actor);
  for (const t of threads) {
    const own = [text('thread', String(t.thread))];
    families.number('cybermesh.thread.lag_seconds', 'gauge', t.lagMs / 1000, own);
    families.number('cybermesh.thread.heap_bytes', 'gauge', t.heapBytes, own);
    families.number('cybermesh.thread.open_asks', 'gauge', t.openAsks, own);
  }
  for (const [reason, n] of Object.entries(deadLetters.byReason)) {
    families.number('cybermesh.dead_letters', 'sum', n, [text('reason', reason)]);
  }
  for (const { name, kind, labels, value } of runtime) {
    const own = Object.entries(labels).map(([key, label]) => text(key, label));
    families.number(`cybermesh.${name}`, kind === 'counter' ? 'sum' : 'gauge', value, own);
  }
  const scopeMetrics = [{ scope: scopeOf(resource), metrics: families.all() }];
  return { resourceMetrics: [{ resource: resourceOf(resource), scopeMetrics }] };
};
