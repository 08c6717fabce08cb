/**
 * One attack is one incident: sightings of the same (source, target, threat) within the cool-down. It is told when
 * it is first sure, and again each time it has grown by the growth factor, citing the first.
 */
import { unreachable } from '#proto/result.ts';
import type { Threat } from '#proto/threats.ts';
import type { EnsembleConfig } from './config.ts';
import type { Subject } from './subjects.ts';
import type { Vote } from './vote.ts';

export type Sighting = {
  readonly subject: Subject;
  readonly vote: Vote;
  readonly severity: number;
};

/** Counts over overlapping windows: within one stretch the largest, over stretches the sum. Lower bounds. */
type Stretch = { beganMs: number; endsMs: number; flows: number; packets: number; bytes: number };
type Counts = { flows: number; packets: number; bytes: number };

export type Incident = {
  /** From 1, in the order of their beginning. */
  readonly number: number;
  threat: Threat;
  firstMs: number;
  lastMs: number;
  readonly finished: Counts;
  stretch: Stretch | undefined;
  readonly ofFlows: Counts;
  flowSightings: number;
  /** Sources that completed handshakes in what was sighted: nobody forged them. */
  readonly proven: Set<string>;
  readonly sources: Map<string, number>;
  readonly targets: Map<string, number>;
  readonly ports: Set<number>;
  confidence: number;
  severity: number;
  /** Packets when it was told last; 0 = not told yet. */
  toldPackets: number;
  tellings: number;
};

export type Incidents = { readonly open: Map<string, Incident>; begun: number };
export const newIncidents = (): Incidents => ({ open: new Map(), begun: 0 });

const NAMES_MAX = 16;
const PORTS_MAX = 64;
/** The address behind this share of the sightings is the address of the incident. */
const SOLE_SHARE = 0.9;

/** What sightings of one incident share: floods their target, scans and guessing their source. */
export const incidentKey = (threat: Threat, { source, target }: Subject): string => {
  switch (threat) {
    case 'ddos':
    case 'dos':
      return target === '' ? `denial|${source}>` : `denial|${target}`;
    case 'port_scan':
    case 'brute_force':
    case 'data_exfil':
      return `${threat}|${source}`;
    case 'malware_c2':
      return `${threat}|${source}>${target}`;
    case 'anomaly':
      return `${threat}|${source}>${target}`;
    default:
      return unreachable(threat);
  }
};

const newIncident = (number: number, { subject, vote }: Sighting): Incident => ({
  number,
  threat: vote.threat,
  firstMs: subject.firstMs,
  lastMs: subject.lastMs,
  finished: { flows: 0, packets: 0, bytes: 0 },
  stretch: undefined,
  ofFlows: { flows: 0, packets: 0, bytes: 0 },
  flowSightings: 0,
  proven: new Set(),
  sources: new Map(),
  targets: new Map(),
  ports: new Set(),
  confidence: 0,
  severity: 0,
  toldPackets: 0,
  tellings: 0,
});

const addName = (names: Map<string, number>, name: string): void => {
  if (!names.has(name) && names.size >= NAMES_MAX) return;
  names.set(name, (names.get(name) ?? 0) + 1);
};

/** The one address that nearly all sightings name; '' where there are several. */
export const soleName = (names: ReadonlyMap<string, number>): string => {
  let total = 0;
  let best = '';
  let most = 0;
  for (const [name, count] of names) {
    total += count;
    if (count > most) {
      best = name;
      most = count;
    }
  }
  return most >= SOLE_SHARE * total ? best : '';
};

const addWindow = (
  incident: Incident,
  { firstMs, lastMs, flows, packets, bytes }: Subject,
): void => {
  const { stretch, finished } = incident;
  if (stretch !== undefined && firstMs <= stretch.endsMs) {
    stretch.flows = Math.max(stretch.flows, flows);
    stretch.packets = Math.max(stretch.packets, packets);
    stretch.bytes = Math.max(stretch.bytes, bytes);
    return;
  }
  if (stretch !== undefined) {
    finished.flows += stretch.flows;
    finished.packets += stretch.packets;
    finished.bytes += stretch.bytes;
  }
  incident.stretch = { beganMs: firstMs, endsMs: lastMs, flows, packets, bytes };
};

/** Of flows and windows, which see the same packets, the larger count. */
export const countsOf = ({ finished, stretch, ofFlows }: Incident): Counts => ({
  flows: Math.max(ofFlows.flows, finished.flows + (stretch?.flows ?? 0)),
  packets: Math.max(ofFlows.packets, finished.packets + (stretch?.packets ?? 0)),
  bytes: Math.max(ofFlows.bytes, finished.bytes + (stretch?.bytes ?? 0)),
});

const add = (incident: Incident, { subject, vote, severity }: Sighting): void => {
  incident.firstMs = Math.min(incident.firstMs, subject.firstMs);
  incident.lastMs = Math.max(incident.lastMs, subject.lastMs);
  if (subject.kind === 'flow') {
    incident.ofFlows.flows += 1;
    incident.ofFlows.packets += subject.packets;
    incident.ofFlows.bytes += subject.bytes;
    incident.flowSightings += 1;
  } else addWindow(incident, subject);
  addName(incident.sources, subject.source);
  if (!subject.spoofable && incident.proven.size < NAMES_MAX) incident.proven.add(subject.source);
  addName(incident.targets, subject.target);
  for (const port of subject.ports) if (incident.ports.size < PORTS_MAX) incident.ports.add(port);
  if (vote.confidence >= incident.confidence) {
    incident.confidence = vote.confidence;
    incident.threat = vote.threat;
  }
  incident.severity = Math.max(incident.severity, severity);
};

const isDue = (config: EnsembleConfig, incident: Incident, subject: Subject): boolean => {
  const { packets } = countsOf(incident);
  if (incident.tellings > 0) return packets >= incident.toldPackets * config.growthFactor;
  return subject.kind === 'window' || incident.flowSightings >= config.flowsMin[incident.threat];
};

/** Time between an incident and a sighting, before it or after; 0 where they overlap. */
const gapMs = (incident: Incident, subject: Subject): number =>
  Math.max(0, subject.firstMs - incident.lastMs, incident.firstMs - subject.lastMs);

/** Adds a sighting; returns the incident when it is to be told (again). */
export const sight = (
  config: EnsembleConfig,
  incidents: Incidents,
  sighting: Sighting,
): Incident | undefined => {
  const { subject, vote } = sighting;
  const key = incidentKey(vote.threat, subject);
  const known = incidents.open.get(key);
  const isNew = known === undefined || gapMs(known, subject) > config.coolDownS * 1000;
  if (isNew) incidents.begun += 1;
  const incident = isNew ? newIncident(incidents.begun, sighting) : known;
  incidents.open.delete(key);
  if (incidents.open.size >= config.incidentsMax) {
    const oldest = incidents.open.keys().next();
    if (!oldest.done) incidents.open.delete(oldest.value);
  }
  incidents.open.set(key, incident);
  add(incident, sighting);
  if (!isDue(config, incident, subject)) return undefined;
  incident.toldPackets = Math.max(1, countsOf(incident).packets);
  incident.tellings += 1;
  return incident;
};
