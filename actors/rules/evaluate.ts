/** Judges the subjects of one batch by a rule set. */
import { hex } from '#proto/bytes.ts';
import {
  FLOW,
  floatsOf,
  flowFirstMs,
  recordsOf,
  vectorAt,
  WINDOW,
  windowSide,
} from '#proto/flow-batch.ts';
import { newScores, scoreAt, setScore, type Threat } from '#proto/threats.ts';
import type { FlowRule, RuleSet, WindowRule } from './table.ts';
import { newTally, type Tally, tally } from './tally.ts';

export type Reason = {
  /** `rule.statistic`. */
  readonly feature: string;
  readonly value: number;
  readonly limit: number;
  readonly technique: string;
};

export type Finding = {
  readonly subject: number;
  readonly threat: Threat;
  readonly ruleSet: string;
  /** Base of the threat + floor(log10(value / limit)) of its strongest rule, 1..10. */
  readonly severity: number;
  readonly reasons: Reason[];
};

export type Judgement = {
  readonly scores: Float32Array<ArrayBuffer>;
  readonly confidences: Float32Array<ArrayBuffer>;
  readonly findings: Finding[];
};

/** What the rules remember between batches: the flows that each flow rule has counted. */
export type Memory = { readonly tallies: Map<string, Tally> };
export const newMemory = (): Memory => ({ tallies: new Map() });

/** Pairs of addresses that a flow rule counts at once. */
const TALLY_KEYS_MAX = 4_096;
/** Packets (or flows) at which the support of a verdict is one half. */
const HALF_SUPPORT_PACKETS = 8;
const HALF_SUPPORT_FLOWS = 2;
/** From this score on a verdict carries its reasons. */
const EXPLAINED_FROM = 0.5;

export type Batch = {
  readonly flows: number;
  readonly windows: number;
  readonly vectors: Uint8Array;
  readonly columns: Uint8Array;
  readonly aggregates: Uint8Array;
};

/** 0.5 at the limit; each further multiple of the limit halves the doubt. */
export const scoreOf = (value: number, limit: number): number => 1 - 2 ** -(value / limit);

export const severityOf = (base: number, value: number, limit: number): number =>
  Math.min(10, Math.max(1, base + Math.floor(Math.log10(Math.max(value / limit, 1e-9)))));

/** Six digits: a figure for people that reads the same wherever it is printed. */
const figure = (value: number): number => Number(value.toPrecision(6));

const note = (
  judgement: Judgement,
  set: RuleSet,
  subject: number,
  threat: Threat,
  rule: WindowRule | FlowRule,
  feature: string,
  value: number,
  support: number,
): void => {
  const score = scoreOf(value, rule.limit);
  const before = scoreAt(judgement.scores, subject, threat);
  const best = !(score <= before);
  if (best) {
    setScore(judgement.scores, subject, threat, score);
    setScore(judgement.confidences, subject, threat, support);
  }
  if (score < EXPLAINED_FROM) return;
  const reason: Reason = {
    feature: `${rule.name}.${feature}`,
    value: figure(value),
    limit: rule.limit,
    technique: rule.technique,
  };
  const severity = severityOf(set.severity[threat] ?? 1, value, rule.limit);
  const at = judgement.findings.findIndex((f) => f.subject === subject && f.threat === threat);
  const known = judgement.findings[at];
  if (known === undefined) {
    const reasons = [reason];
    judgement.findings.push({ subject, threat, ruleSet: set.sha256, severity, reasons });
    return;
  }
  // The strongest reason stands first.
  if (best) known.reasons.unshift(reason);
  else known.reasons.push(reason);
  if (severity > known.severity) judgement.findings[at] = { ...known, severity };
};

const judgeWindow = (
  judgement: Judgement,
  set: RuleSet,
  view: DataView,
  row: number,
  subject: number,
): void => {
  const side = windowSide(view, row);
  const spanMs = WINDOW.get.spanMs(view, row);
  const packets = WINDOW.get.packets(view, row);
  const few = WINDOW.get.distinctPeers(view, row) < set.ddosSourcesMin;
  for (const rule of set.windows) {
    if (rule.side !== side || rule.spanMs !== spanMs) continue;
    const holds = rule.where.every(({ of, atLeast, atMost }) => {
      const value = of(view, row);
      return value >= atLeast && value <= atMost;
    });
    if (!holds) continue;
    const threat = rule.threat === 'ddos' && few ? 'dos' : rule.threat;
    const support = packets / (packets + HALF_SUPPORT_PACKETS);
    note(judgement, set, subject, threat, rule, rule.feature, rule.of(view, row), support);
  }
};

const tallyOf = (memory: Memory, rule: FlowRule): Tally => {
  const known = memory.tallies.get(rule.name);
  if (known !== undefined && known.windowMs === rule.windowMs) return known;
  const fresh = newTally(rule.windowMs, TALLY_KEYS_MAX);
  memory.tallies.set(rule.name, fresh);
  return fresh;
};

const judgeFlow = (
  judgement: Judgement,
  set: RuleSet,
  memory: Memory,
  columns: DataView,
  row: number,
  vector: Float32Array,
): void => {
  for (const rule of set.flows) {
    const holds = rule.where.every(({ of, atLeast, atMost }) => {
      const value = of(columns, row, vector);
      return value >= atLeast && value <= atMost;
    });
    if (!holds) continue;
    const source = hex(FLOW.address.source(columns, row));
    const target = hex(FLOW.address.destination(columns, row));
    const key = `${source}>${target}:${FLOW.get.destinationPort(columns, row)}`;
    const count = tally(tallyOf(memory, rule), key, flowFirstMs(columns, row));
    const support = count / (count + HALF_SUPPORT_FLOWS);
    note(judgement, set, row, rule.threat, rule, 'flows', count, support);
  }
};

/** Subjects are the flows of the batch in their order, then its windows. */
export const evaluate = (set: RuleSet, memory: Memory, batch: Batch): Judgement => {
  const subjects = batch.flows + batch.windows;
  const judgement: Judgement = {
    scores: newScores(subjects),
    confidences: newScores(subjects),
    findings: [],
  };
  const vectors = floatsOf(batch.vectors);
  const columns = recordsOf(batch.columns);
  for (let row = 0; row < batch.flows; row += 1) {
    judgeFlow(judgement, set, memory, columns, row, vectorAt(vectors, row));
  }
  const aggregates = recordsOf(batch.aggregates);
  for (let row = 0; row < batch.windows; row += 1) {
    judgeWindow(judgement, set, aggregates, row, batch.flows + row);
  }
  return judgement;
};
