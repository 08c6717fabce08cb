/** The payload and the evidence of one telling: a function of capture, settings and engines' answers alone. */
import { type AnomalyPayload, encodeAnomalyPayload } from '#proto/anomaly-payload.ts';
import { hex } from '#proto/bytes.ts';
import type { Crypto } from '#proto/crypto.ts';
import { encodeEvidenceBlob } from '#proto/evidence-blob.ts';
import { type Cidr, contains, parseIp } from '#proto/ip.ts';
import type { JsonObject } from '#proto/json.ts';
import type { EnsembleConfig } from './config.ts';
import { countsOf, type Incident, soleName } from './incidents.ts';
import type { Subject } from './subjects.ts';
import type { Vote } from './vote.ts';

/** Ready to be told but for the id of the first telling. */
export type Telling = {
  /** Number of its incident. */
  readonly incident: number;
  readonly evidence: Uint8Array;
  readonly payload: Omit<AnomalyPayload, 'previous'>;
  readonly entity: string;
  /** 1 = the first of its incident. */
  readonly telling: number;
};

/** What judged: hashes and versions by engine. */
export type Models = { readonly [engine: string]: string };

const REASONS_MAX = 16;
const MODEL_VERSION_MAX = 128;

const isProtected = (networks: readonly Cidr[], text: string): boolean => {
  const address = parseIp(text);
  return address !== undefined && networks.some((network) => contains(network, address));
};

type VoiceRecord = {
  readonly engine: string;
  readonly score: number;
  readonly confidence: number;
  readonly weight: number;
  readonly reasons: { feature: string; value: number; limit: number; technique?: string }[];
};

const voicesOf = (vote: Vote): VoiceRecord[] =>
  vote.voices.map(({ engine, score, confidence, weight, reasons }) => ({
    engine,
    score,
    confidence,
    weight,
    reasons: reasons.slice(0, REASONS_MAX).map(({ feature, value, limit, technique }) => ({
      feature,
      value,
      limit,
      ...(technique === undefined ? {} : { technique }),
    })),
  }));

const settingsOf = (config: EnsembleConfig): JsonObject => ({
  weights: config.weights,
  thresholds: config.thresholds,
  calibration: config.calibration,
  loneThreshold: config.loneThreshold,
  supportMin: config.supportMin,
});

export const modelVersionOf = (models: Models): string =>
  Object.entries(models)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([engine, version]) => `${engine}-${version.slice(0, 40)}`)
    .join('+')
    .slice(0, MODEL_VERSION_MAX) || 'none';

export type Decision = {
  readonly incident: Incident;
  readonly subject: Subject;
  readonly vote: Vote;
  readonly models: Models;
  /** The window or the vector that tipped the scales. */
  readonly facts: JsonObject;
};

/** `networks`: parsed `config.protected`, whose addresses are withheld from the payload. */
export const tellingOf = (
  config: EnsembleConfig,
  networks: readonly Cidr[],
  { incident, subject, vote, models, facts }: Decision,
  crypto: Pick<Crypto, 'sha256'>,
): Telling => {
  const source = soleName(incident.sources);
  const target = soleName(incident.targets);
  const withheld = [source, target].filter((name) => isProtected(networks, name));
  const shown = (name: string): string => (withheld.includes(name) ? '' : name);
  const counts = countsOf(incident);
  const engines = voicesOf(vote);
  const ports = [...incident.ports].sort((a, b) => a - b);
  const evidence = encodeEvidenceBlob(
    { evidenceType: 'detection', refs: [], coc: [] },
    {
      threat: vote.threat,
      confidence: vote.confidence,
      threshold: vote.threshold,
      engines,
      models,
      settings: settingsOf(config),
      subject: { ...facts, kind: subject.kind },
      capture: config.capture,
      withheld,
      telling: incident.tellings,
    },
  );
  const payload = {
    type: vote.threat,
    source: config.name,
    severity: incident.severity,
    confidence: vote.confidence,
    model_version: modelVersionOf(models),
    src_ip: shown(source),
    dst_ip: shown(target),
    dst_ports: ports,
    protocol: subject.protocol,
    spoofable: source === '' || !incident.proven.has(source),
    first_seen_ms: incident.firstMs,
    last_seen_ms: incident.lastMs,
    flows: counts.flows,
    packets: counts.packets,
    bytes: counts.bytes,
    engines,
    thresholds: { confidence: vote.threshold },
    capture: { source: config.capture.source, path: config.capture.path },
    evidence_hash: hex(crypto.sha256(evidence)),
  };
  const entity = source || target || vote.threat;
  return { incident: incident.number, evidence, payload, entity, telling: incident.tellings };
};

export const payloadBytes = (telling: Telling, previous: string): Uint8Array =>
  encodeAnomalyPayload({ ...telling.payload, previous });
