/**
 * Spans and metrics to an OpenTelemetry collector, by OTLP/HTTP with JSON. A queue of 8,192 spans: at the bound the oldest are
 * dropped and counted. What the collector cannot take now (429, 502, 503, 504, no answer) is sent again at the next
 * turn; what it refuses is dropped. A failure is said once, until it is over.
 */
import { readFileSync } from 'node:fs';
import type { MetricsSnapshot } from '../metrics/numbers.ts';
import type { Span } from '../trace/sightings.ts';
import { metricsBody, type Resource, tracesBody } from './encode.ts';

export type OtlpSettings = {
  /** Base URL: `/v1/traces` and `/v1/metrics` are put behind it. */
  readonly url: string;
  /** File of `name: value` lines, one HTTP header each: tokens stay out of the topology. */
  readonly headersFile?: string | undefined;
  readonly intervalMs: number;
};

export type OtlpSources = {
  readonly resource: Resource;
  readonly startMs: number;
  readonly now: () => number;
  /** New spans since the last call, and how many were lost before they were read. */
  readonly spans: () => { readonly spans: readonly Span[]; readonly lost: number };
  readonly metrics: () => MetricsSnapshot;
  readonly log: (level: 'info' | 'warn', text: string) => void;
};

export type OtlpCounts = {
  readonly exported: number;
  readonly dropped: number;
  readonly failures: number;
};

export type Exporter = {
  readonly counts: () => OtlpCounts;
  /** Sends what there is, within two seconds. */
  close(): Promise<void>;
};

const QUEUE_MAX = 8192;
const BATCH_MAX = 512;
const POST_DEADLINE_MS = 5000;
const CLOSE_DEADLINE_MS = 2000;
const LATER: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Headers of a file; throws a sentence for a line that is none. */
export const readHeaders = (file: string | undefined): { readonly [name: string]: string } => {
  if (file === undefined) return {};
  let lines: readonly string[];
  try {
    lines = readFileSync(file, 'utf8').split('\n');
  } catch (fault) {
    throw new Error(`node.otlp.headersFile ${file}: ${(fault as Error).message}`);
  }
  const headers: Record<string, string> = {};
  for (const [k, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const match = /^([\w-]+):\s*(\S.*)$/.exec(line.trim());
    if (match === null) throw new Error(`${file}:${k + 1}: expected name: value`);
    headers[match[1]!] = match[2]!;
  }
  return headers;
};

type Outcome = 'ok' | 'later' | 'refused';
/** `rejected`: spans of a request that was accepted otherwise. */
type Posted = { readonly outcome: Outcome; readonly rejected: number };

/** At most so much of an answer is read; what is longer is none of this protocol. */
const ANSWER_BYTES_MAX = 65_536;

/** The answer's body, to its end so that the connection can be used again; '' for one that is too long. */
const bodyOf = async (answer: Response): Promise<string> => {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of answer.body ?? []) {
    bytes += part.length;
    if (bytes > ANSWER_BYTES_MAX) return ''; // leaving the loop ends the connection
    parts.push(part);
  }
  return Buffer.concat(parts).toString('utf8');
};

/** What a collector says of a part that it did not take (ExportTracePartialSuccess). */
const partialSuccess = (body: string): { readonly rejected: number; readonly why: string } => {
  try {
    const { partialSuccess: part } = JSON.parse(body) as {
      readonly partialSuccess?: {
        readonly rejectedSpans?: string | number;
        readonly errorMessage?: string;
      };
    };
    const rejected = Number(part?.rejectedSpans ?? 0);
    return {
      rejected: Number.isSafeInteger(rejected) && rejected > 0 ? rejected : 0,
      why: String(part?.errorMessage ?? '').slice(0, 200),
    };
  } catch {
    return { rejected: 0, why: '' }; // an answer without a body, or of another encoding: all was taken
  }
};

class OtlpExporter implements Exporter {
  private readonly settings: OtlpSettings;
  private readonly headers: { readonly [name: string]: string };
  private readonly from: OtlpSources;
  private readonly queue: Span[] = [];
  private exported = 0;
  private dropped = 0;
  private failures = 0;
  /** URLs whose last answer was a failure. */
  private readonly failing = new Set<string>();
  private readonly over = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private turn: Promise<void> = Promise.resolve();

  constructor(settings: OtlpSettings, from: OtlpSources) {
    this.settings = settings;
    this.headers = readHeaders(settings.headersFile);
    this.from = from;
    this.later();
  }

  counts(): OtlpCounts {
    const { exported, dropped, failures } = this;
    return { exported, dropped, failures };
  }

  async close(): Promise<void> {
    // What is under way is given up and sent again, with what came since.
    this.over.abort();
    clearTimeout(this.timer);
    await this.turn;
    await this.export(AbortSignal.timeout(CLOSE_DEADLINE_MS));
  }

  private later(): void {
    this.timer = setTimeout(() => {
      this.turn = this.export(this.over.signal).then(() => {
        if (!this.over.signal.aborted) this.later();
      });
    }, this.settings.intervalMs).unref();
  }

  private gather(): void {
    const { spans, lost } = this.from.spans();
    this.dropped += lost;
    this.queue.push(...spans);
    const over = this.queue.length - QUEUE_MAX;
    if (over <= 0) return;
    this.queue.splice(0, over);
    this.dropped += over;
  }

  private async export(signal: AbortSignal): Promise<void> {
    this.gather();
    while (this.queue.length > 0) {
      const batch = this.queue.slice(0, BATCH_MAX);
      const body = tracesBody(this.from.resource, batch);
      const { outcome, rejected } = await this.post('/v1/traces', body, signal);
      if (outcome === 'later') break;
      this.queue.splice(0, batch.length);
      const dropped = outcome === 'ok' ? Math.min(rejected, batch.length) : batch.length;
      this.exported += batch.length - dropped;
      this.dropped += dropped;
    }
    const { resource, startMs, now, metrics } = this.from;
    const body = metricsBody(resource, metrics(), { startMs, atMs: now() });
    await this.post('/v1/metrics', body, signal);
  }

  private async post(path: string, body: object, over: AbortSignal): Promise<Posted> {
    const url = this.settings.url.replace(/\/+$/, '') + path;
    const deadline = AbortSignal.timeout(POST_DEADLINE_MS);
    try {
      const answer = await fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...this.headers },
        body: JSON.stringify(body),
        redirect: 'error',
        signal: AbortSignal.any([deadline, over]),
      });
      const { rejected, why } = partialSuccess(await bodyOf(answer));
      if (!answer.ok) this.failed(url, `it answered ${answer.status}`);
      else if (rejected > 0) this.failed(url, `it rejected ${rejected} spans: ${why}`);
      else this.succeeded(url);
      const refused = LATER.has(answer.status) ? 'later' : 'refused';
      return { outcome: answer.ok ? 'ok' : refused, rejected };
    } catch (fault) {
      const later = { outcome: 'later', rejected: 0 } as const;
      if (over.aborted) return later;
      const { cause, message } = fault as Error & { readonly cause?: Error };
      this.failed(url, cause?.message ?? message);
      return later;
    }
  }

  private succeeded(url: string): void {
    if (this.failing.delete(url) && this.failing.size === 0) {
      this.from.log('info', `the collector at ${url} takes telemetry again`);
    }
  }

  private failed(url: string, why: string): void {
    this.failures++;
    if (this.failing.size === 0) {
      this.from.log('warn', `no telemetry to the collector at ${url}: ${why}`);
    }
    this.failing.add(url);
  }
}

/** Throws a sentence when the file of headers cannot be read. */
export const openExporter = (settings: OtlpSettings, from: OtlpSources): Exporter =>
  new OtlpExporter(settings, from);
