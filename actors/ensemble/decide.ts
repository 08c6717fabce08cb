/** Decides one batch: every window and flow is voted on, what is sure enough joins its incident. */
import type { Crypto } from '#proto/crypto.ts';
import { flowFirstMs, WINDOW } from '#proto/flow-batch.ts';
import type { Cidr } from '#proto/ip.ts';
import { scoreAt, THREAT_COUNT, type Threat } from '#proto/threats.ts';
import { findingAt, type Pending } from './batches.ts';
import type { EnsembleConfig } from './config.ts';
import { type Models, type Telling, tellingOf } from './evidence.ts';
import { type Incidents, sight } from './incidents.ts';
import { ENGINES, type Engine } from './protocol.ts';
import { RECALLED_FROM, type Recall, recalled, remember } from './recall.ts';
import { flowFacts, flowSubject, type Subject, windowFacts, windowSubject } from './subjects.ts';
import { type Opinion, type Vote, vote } from './vote.ts';

/**
 * Threats that are one attack by two names are voted on together: a rule that calls a flood `dos` contradicts
 * nobody who calls it `ddos`. `about`: whose address the family is about.
 */
type Family = {
  readonly name: string;
  readonly threats: readonly Threat[];
  readonly about: 'source' | 'target';
};

const FAMILIES: readonly Family[] = [
  { name: 'denial', threats: ['ddos', 'dos'], about: 'target' },
  { name: 'port_scan', threats: ['port_scan'], about: 'source' },
  { name: 'brute_force', threats: ['brute_force'], about: 'source' },
  { name: 'malware_c2', threats: ['malware_c2'], about: 'source' },
  { name: 'data_exfil', threats: ['data_exfil'], about: 'source' },
  { name: 'anomaly', threats: ['anomaly'], about: 'source' },
];

export type Deciding = {
  readonly config: EnsembleConfig;
  readonly networks: readonly Cidr[];
  readonly incidents: Incidents;
  readonly recall: Recall;
  readonly crypto: Pick<Crypto, 'sha256'>;
};

/** An own opinion of an engine on a subject, with the threat of the family that it named. */
type Heard = { readonly opinion: Opinion; readonly threat: Threat };

const ownOpinion = (
  batch: Pending,
  engine: Engine,
  row: number,
  family: Family,
): Heard | undefined => {
  const verdict = batch.verdicts.get(engine);
  if (verdict === undefined) return undefined;
  let heard: Heard | undefined;
  for (const threat of family.threats) {
    const score = scoreAt(verdict.scores, row, threat);
    if (Number.isNaN(score) || score <= (heard?.opinion.score ?? -1)) continue;
    const confidence = scoreAt(verdict.confidences, row, threat);
    const reasons = findingAt(verdict, row, threat)?.reasons ?? [];
    heard = {
      threat,
      opinion: { engine, score, confidence: Number.isNaN(confidence) ? 0 : confidence, reasons },
    };
  }
  return heard;
};

/** The threat's name: of a denial, as the rules call it, which count its sources. */
const nameOf = (family: Family, heard: readonly Heard[], subject: Subject): Threat => {
  const rules = heard.find(({ opinion }) => opinion.engine === 'rules');
  if (rules !== undefined) return rules.threat;
  if (family.name === 'denial') return subject.source === '' ? 'ddos' : 'dos';
  return family.threats[0] ?? 'anomaly';
};

/** Flows that ml must have called an attack, before their window hears of it. */
const RECALLED_FLOWS_MIN = 3;

const withRecalled = (
  recall: Recall,
  family: Family,
  subject: Subject,
  heard: readonly Heard[],
): Opinion[] => {
  const address = subject[family.about];
  const opinions = heard.map(({ opinion }) => opinion);
  const key = `${family.name}|${address}`;
  for (const engine of ENGINES) {
    if (address === '' || opinions.some((own) => own.engine === engine)) continue;
    // Windows hear of flows, which ml judges; flows hear of windows, which the others judge.
    if ((engine === 'ml') !== (subject.kind === 'window')) continue;
    const countMin = engine === 'ml' ? RECALLED_FLOWS_MIN : 1;
    const said = recalled(recall, engine, key, subject.lastMs, countMin);
    if (said !== undefined) opinions.push(said);
  }
  for (const { opinion } of heard) {
    const tells = (opinion.engine === 'ml') === (subject.kind === 'flow');
    if (tells && address !== '' && opinion.score >= RECALLED_FROM) {
      remember(recall, key, opinion, subject.lastMs);
    }
  }
  return opinions;
};

const severityOf = (
  config: EnsembleConfig,
  batch: Pending,
  row: number,
  threat: Threat,
): number => {
  const rules = batch.verdicts.get('rules');
  const said = rules === undefined ? 0 : (findingAt(rules, row, threat)?.severity ?? 0);
  const severity = said > 0 ? said : config.severity[threat];
  return Math.min(10, Math.max(1, Math.round(severity)));
};

const MODEL_PREFIX = 'ml.';

/** What judged, as far as it says: the rules by the hash of their table, ml by the name of its model. */
const modelsOf = (batch: Pending, row: number, { threat, voices }: Vote): Models => {
  const models: Record<string, string> = {};
  for (const { engine, reasons } of voices) {
    if (engine === 'rules') {
      const rules = batch.verdicts.get('rules');
      const own = rules === undefined ? undefined : findingAt(rules, row, threat);
      models.rules = own?.ruleSet || 'recalled';
    } else if (engine === 'ml') {
      const named = reasons.find(({ feature }) => feature.startsWith(MODEL_PREFIX));
      models.ml = named?.feature.slice(MODEL_PREFIX.length) ?? 'unnamed';
    } else models.math = '1';
  }
  return models;
};

const decideSubject = (
  deciding: Deciding,
  batch: Pending,
  row: number,
  subjectOf: () => Subject,
  tellings: Telling[],
): void => {
  const { config } = deciding;
  let subject: Subject | undefined;
  for (const family of FAMILIES) {
    const heard = ENGINES.flatMap((engine) => {
      const own = ownOpinion(batch, engine, row, family);
      return own === undefined ? [] : [own];
    });
    // A mean cannot exceed its largest part.
    if (!heard.some(({ opinion }) => opinion.score >= RECALLED_FROM)) continue;
    subject ??= subjectOf();
    const opinions = withRecalled(deciding.recall, family, subject, heard);
    const decided = vote(config, nameOf(family, heard, subject), opinions);
    if (decided === undefined || !decided.publish) continue;
    const severity = severityOf(config, batch, row, decided.threat);
    const incident = sight(config, deciding.incidents, { subject, vote: decided, severity });
    if (incident === undefined) continue;
    const facts =
      subject.kind === 'flow'
        ? flowFacts(batch.columns, row, batch.vectors)
        : windowFacts(batch.aggregates, row - batch.flows);
    const models = modelsOf(batch, row, decided);
    const decision = { incident, subject, vote: decided, models, facts };
    tellings.push(tellingOf(config, deciding.networks, decision, deciding.crypto));
  }
};

/**
 * In the order of capture time: a flow when it began, a window when it ended. So incidents of a batch that spans
 * minutes do not get ahead of themselves.
 */
export const decide = (deciding: Deciding, batch: Pending): Telling[] => {
  const { flows, windows, columns, aggregates } = batch;
  const timesMs = new Float64Array(flows + windows);
  for (let i = 0; i < flows; i += 1) timesMs[i] = flowFirstMs(columns, i);
  for (let i = 0; i < windows; i += 1) timesMs[flows + i] = WINDOW.get.lastMs(aggregates, i);
  const order = [...timesMs.keys()].sort((a, b) => timesMs[a]! - timesMs[b]! || b - a);
  const tellings: Telling[] = [];
  for (const row of order) {
    const subjectOf = (): Subject =>
      row < flows ? flowSubject(columns, row) : windowSubject(aggregates, row - flows);
    decideSubject(deciding, batch, row, subjectOf, tellings);
  }
  return tellings;
};

/** Subjects on which an engine said nothing at all. */
export const abstentions = (batch: Pending, engine: Engine): number => {
  const subjects = batch.flows + batch.windows;
  const verdict = batch.verdicts.get(engine);
  if (verdict === undefined) return subjects;
  let silent = 0;
  for (let row = 0; row < subjects; row += 1) {
    const scores = verdict.scores.subarray(row * THREAT_COUNT, (row + 1) * THREAT_COUNT);
    if (scores.every(Number.isNaN)) silent += 1;
  }
  return silent;
};
