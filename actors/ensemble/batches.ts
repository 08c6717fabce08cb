/** Batches that wait for their engines, and what the engines said: copies, since views end with the step. */
import { fromUtf8 } from '#proto/bytes.ts';
import { floatsOf } from '#proto/flow-batch.ts';
import { isThreat, THREAT_COUNT, type Threat } from '#proto/threats.ts';
import type { MessagesTo } from '#runtime/actor.ts';
import type { Engine, ensemble } from './protocol.ts';
import type { Reason } from './vote.ts';

type Incoming = MessagesTo<typeof ensemble>;
export type BatchMessage = Extract<Incoming, { readonly kind: 'batch' }>;
export type VerdictMessage = Extract<Incoming, { readonly kind: 'verdict' }>;

export type Finding = {
  readonly reasons: readonly Reason[];
  /** Of the rules: hash of their table, severity 1..10. */
  readonly ruleSet: string;
  readonly severity: number;
};

export type Verdict = {
  readonly scores: Float32Array;
  readonly confidences: Float32Array;
  /** By `subject|threat`. */
  readonly findings: ReadonlyMap<string, Finding>;
};

export type Pending = {
  readonly seq: number;
  readonly flows: number;
  readonly windows: number;
  readonly vectors: Float32Array;
  readonly columns: DataView;
  readonly aggregates: DataView;
  readonly end: boolean;
  /** undefined = it abstained. */
  readonly verdicts: Map<Engine, Verdict | undefined>;
  expired: boolean;
};

const copied = (bytes: Uint8Array): DataView => {
  const own = bytes.slice();
  return new DataView(own.buffer, own.byteOffset, own.byteLength);
};

export const pendingOf = (message: BatchMessage): Pending => ({
  seq: message.seq,
  flows: message.flows,
  windows: message.windows,
  vectors: floatsOf(message.vectors.slice()),
  columns: copied(message.columns),
  aggregates: copied(message.aggregates),
  end: message.end,
  verdicts: new Map(),
  expired: false,
});

const REASONS_MAX = 64;

const isRecord = (value: unknown): value is { readonly [name: string]: unknown } =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const reasonOf = (value: unknown): Reason[] => {
  if (!isRecord(value)) return [];
  const { feature, value: observed, limit, technique } = value;
  if (typeof feature !== 'string' || feature === '') return [];
  if (typeof observed !== 'number' || typeof limit !== 'number') return [];
  const named = typeof technique === 'string' ? { technique } : {};
  return [{ feature, value: observed, limit, ...named }];
};

const findingsOf = (bytes: Uint8Array): Map<string, Finding> => {
  const findings = new Map<string, Finding>();
  const text = fromUtf8(bytes);
  let parsed: unknown;
  try {
    parsed = JSON.parse(text ?? '');
  } catch {
    // An engine that garbles its reasons still has its scores.
    return findings;
  }
  if (!Array.isArray(parsed)) return findings;
  for (const entry of parsed) {
    if (!isRecord(entry) || !Array.isArray(entry.reasons)) continue;
    const { subject, threat, ruleSet, severity } = entry;
    if (typeof subject !== 'number' || typeof threat !== 'string' || !isThreat(threat)) continue;
    findings.set(`${subject}|${threat}`, {
      reasons: entry.reasons.slice(0, REASONS_MAX).flatMap(reasonOf),
      ruleSet: typeof ruleSet === 'string' ? ruleSet : '',
      severity: typeof severity === 'number' ? severity : 0,
    });
  }
  return findings;
};

/** undefined where it abstained, or said something of another shape (`subjects` = flows + windows). */
export const verdictOf = (message: VerdictMessage, subjects: number): Verdict | undefined => {
  if (message.abstained) return undefined;
  const bytes = subjects * THREAT_COUNT * 4;
  if (message.scores.byteLength !== bytes || message.confidences.byteLength !== bytes) {
    return undefined;
  }
  return {
    scores: floatsOf(message.scores.slice()),
    confidences: floatsOf(message.confidences.slice()),
    findings: findingsOf(message.reasons),
  };
};

export const findingAt = (verdict: Verdict, subject: number, threat: Threat): Finding | undefined =>
  verdict.findings.get(`${subject}|${threat}`);
