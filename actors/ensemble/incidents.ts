/**
 * One attack is one incident: sightings of the same (source, target, threat) within the cool-down. It is told when
 * it is first sure, and again each time it has grown by the growth factor, citing the first.
 */
import { unreachable } from '#proto/result.ts';
import type { Threat } from '#proto/threats.ts';
import type { EnsembleConfig } from './config.ts';
import { isProven, type Subject } from './subjects.ts';
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
  windowSightings: number;
  /** Sources that what was sighted could not have come from unless they sent it: nobody forged them. */
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

export type Incidents = {
  readonly open: Map<string, Incident>;
  /** When an address was last part of an incident with a name, capture time, ms. */
  readonly named: Map<string, number>;
  /** Key of the newest flood of one source, by target. */
  readonly lone: Map<string, string>;
  begun: number;
};
export const newIncidents = (): Incidents => ({
  open: new Map(),
  named: new Map(),
  lone: new Map(),
  begun: 0,
});

const NAMES_MAX = 16;
const PORTS_MAX = 64;
/** The address behind this share of the sightings is the address of the incident. */
const SOLE_SHARE = 0.9;

/** `own`: the incident that a sighting begins; `others`: those that it joins first, where they are open. */
type Keys = { readonly own: string; readonly others: readonly string[] };

/**
 * Scans and guessing have a source in common, floods of many sources a target, those of one source both. A single flow
 * cannot tell whether its source is the only one: it joins what windows found, or the flows of its target; and
 * a window joins those flows where they have its source, or are of many as it is.
 */
export const incidentKeys = (threat: Threat, subject: Subject): Keys => {
  const { kind, source, target } = subject;
  const pair = `${source || '*'}>${target || '*'}`;
  const flows = `denial|${target}`;
  switch (threat) {
    case 'ddos':
    case 'dos':
      if (kind === 'flow') return { own: flows, others: [`dos|${pair}`, `ddos|*>${target}`] };
      return { own: threat === 'ddos' ? `ddos|*>${target}` : `dos|${pair}`, others: [flows] };
    case 'port_scan':
    case 'brute_force':
    case 'data_exfil':
      return { own: `${threat}|${source}`, others: [] };
    case 'malware_c2':
    case 'anomaly':
      return { own: `${threat}|${pair}`, others: [] };
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
  windowSightings: 0,
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
  } else {
    incident.windowSightings += 1;
    addWindow(incident, subject);
  }
  addName(incident.sources, subject.source);
  if (isProven(vote.threat, subject) && incident.proven.size < NAMES_MAX)
    incident.proven.add(subject.source);
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
  if (subject.kind === 'flow') return incident.flowSightings >= config.flowsMin[incident.threat];
  return incident.threat !== 'anomaly' || incident.windowSightings >= config.anomalyWindowsMin;
};

/** Time between an incident and a sighting, before it or after; 0 where they overlap. */
const gapMs = (incident: Incident, subject: Subject): number =>
  Math.max(0, subject.firstMs - incident.lastMs, incident.firstMs - subject.lastMs);

const keep = <V>(map: Map<string, V>, key: string, value: V, sizeMax: number): void => {
  map.delete(key);
  if (map.size >= sizeMax) {
    const oldest = map.keys().next();
    if (!oldest.done) map.delete(oldest.value);
  }
  map.set(key, value);
};

/** What has a name already is not reported as a nameless anomaly, too. */
const isNamed = (config: EnsembleConfig, incidents: Incidents, subject: Subject): boolean =>
  [subject.source, subject.target].some((address) => {
    const atMs = incidents.named.get(address);
    return atMs !== undefined && Math.abs(subject.lastMs - atMs) <= config.coolDownS * 1000;
  });

const find = (
  config: EnsembleConfig,
  incidents: Incidents,
  { own, others }: Keys,
  { subject, vote }: Sighting,
): string | undefined => {
  const isOpen = (key: string): boolean => {
    const known = incidents.open.get(key);
    return known !== undefined && gapMs(known, subject) <= config.coolDownS * 1000;
  };
  if (isOpen(own)) return own;
  return others.find((key) => {
    if (!isOpen(key)) return false;
    if (subject.kind === 'flow') return true;
    const sole = soleName(incidents.open.get(key)?.sources ?? new Map());
    return sole === (vote.threat === 'ddos' ? '' : subject.source);
  });
};

/** A flood whose source is not plain for once belongs to the one whose source was. */
const keysOf = (
  config: EnsembleConfig,
  incidents: Incidents,
  { subject, vote }: Sighting,
): Keys => {
  const keys = incidentKeys(vote.threat, subject);
  if (vote.threat !== 'dos' || subject.kind === 'flow') return keys;
  const { source, target } = subject;
  if (source !== '' && target !== '') {
    keep(incidents.lone, target, keys.own, config.incidentsMax);
    return keys;
  }
  const lone = incidents.lone.get(target);
  return lone === undefined ? keys : { own: lone, others: keys.others };
};

/** Adds a sighting; returns the incident when it is to be told (again). */
export const sight = (
  config: EnsembleConfig,
  incidents: Incidents,
  sighting: Sighting,
): Incident | undefined => {
  const { subject, vote } = sighting;
  if (vote.threat === 'anomaly') {
    if (isNamed(config, incidents, subject)) return undefined;
  } else {
    for (const address of [subject.source, subject.target]) {
      if (address !== '') keep(incidents.named, address, subject.lastMs, config.incidentsMax);
    }
  }
  const keys = keysOf(config, incidents, sighting);
  const found = find(config, incidents, keys, sighting);
  const key = found ?? keys.own;
  const known = found === undefined ? undefined : incidents.open.get(found);
  if (known === undefined) incidents.begun += 1;
  const incident = known ?? newIncident(incidents.begun, sighting);
  keep(incidents.open, key, incident, config.incidentsMax);
  add(incident, sighting);
  if (!isDue(config, incident, subject)) return undefined;
  incident.toldPackets = Math.max(1, countsOf(incident).packets);
  incident.tellings += 1;
  return incident;
};
