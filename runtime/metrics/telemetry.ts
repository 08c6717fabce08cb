/** What the runtime tells of itself: numbers for Prometheus, and spans and numbers for a collector. */
import { unixMs } from '#native/clock.ts';
import type { Witness } from '../flight/witness.ts';
import { type Exporter, openExporter } from '../otlp/exporter.ts';
import { packageVersion } from '../package-version.ts';
import type { SystemSpec } from '../spec.ts';
import type { Sightings } from '../trace/sightings.ts';
import type { MetricsSnapshot, RuntimeNumber } from './numbers.ts';

export type Telemetry = {
  readonly numbers: () => readonly RuntimeNumber[];
  /** From now on a collector is told, where one is named; throws when its file of headers cannot be read. */
  start(metrics: () => MetricsSnapshot, log: (level: 'info' | 'warn', text: string) => void): void;
  close(): Promise<void>;
};

const counter = (name: string, value: number, labels = {}): RuntimeNumber => ({
  name,
  kind: 'counter',
  labels,
  value,
});

export const openTelemetry = (
  { node, otlp }: SystemSpec,
  sightings: Sightings,
  witness: Witness,
): Telemetry => {
  let exporter: Exporter | undefined;
  const ofExport = (): RuntimeNumber[] => {
    if (exporter === undefined) return [];
    const { exported, dropped, failures } = exporter.counts();
    return [
      counter('otlp_spans_exported', exported),
      counter('otlp_spans_dropped', dropped),
      counter('otlp_failures', failures),
    ];
  };
  return {
    numbers: () => [
      { name: 'trace_recorded_ratio', kind: 'gauge', labels: {}, value: sightings.recording() },
      ...sightings
        .written()
        .map((spans, thread) => counter('trace_spans', spans, { thread: String(thread) })),
      counter('crash_reports', witness.written()),
      counter('crash_reports_missed', witness.missed()),
      ...ofExport(),
    ],
    start: (metrics, log) => {
      if (otlp === undefined) return;
      const marks = [...sightings.written()];
      const { pid } = process;
      const resource = { service: 'cybermesh', node: node.name, version: packageVersion(), pid };
      const spans = () => sightings.spansSince(marks);
      exporter = openExporter(otlp, {
        resource,
        startMs: unixMs(),
        now: unixMs,
        spans,
        metrics,
        log,
      });
    },
    close: async () => exporter?.close(),
  };
};
