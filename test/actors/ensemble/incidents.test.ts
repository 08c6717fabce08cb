import { expect, test } from 'vitest';
import { config } from '#actors/ensemble/config.ts';
import {
  countsOf,
  type Incidents,
  incidentKeys,
  newIncidents,
  sight,
  soleName,
} from '#actors/ensemble/incidents.ts';
import { isProven, type Subject } from '#actors/ensemble/subjects.ts';
import type { Threat } from '#proto/threats.ts';

const settings = config.parse({ coolDownS: 60, growthFactor: 4 });

const subject = (over: Partial<Subject> = {}): Subject => ({
  kind: 'window',
  source: '192.0.2.1',
  target: '192.0.2.9',
  ports: [80],
  protocol: 'tcp',
  proof: { handshakeShare: 0, probes: 0, authSessions: 0 },
  firstMs: 1_000,
  lastMs: 2_000,
  flows: 1,
  packets: 100,
  bytes: 4_000,
  ...over,
});

const see = (incidents: Incidents, threat: Threat, over: Partial<Subject> = {}, severity = 4) =>
  sight(settings, incidents, {
    subject: subject(over),
    severity,
    vote: { threat, confidence: 0.9, threshold: 0.7, publish: true, voices: [] },
  });

test('one attack is told once, and again when it has grown fourfold', () => {
  const incidents = newIncidents();
  const tellings = [100, 150, 399, 400, 1_000, 1_600].map(
    (packets) => see(incidents, 'port_scan', { packets })?.tellings,
  );
  expect(tellings).toEqual([1, undefined, undefined, 2, undefined, 3]);
});

test('windows that overlap are not counted twice, those that follow are added', () => {
  const incidents = newIncidents();
  const incident = see(incidents, 'ddos', { firstMs: 0, lastMs: 900, packets: 100 })!;
  see(incidents, 'ddos', { firstMs: 500, lastMs: 1_400, packets: 180 });
  expect(countsOf(incident).packets).toBe(180);
  see(incidents, 'ddos', { firstMs: 2_000, lastMs: 2_900, packets: 50 });
  expect(countsOf(incident).packets).toBe(230);
});

test('after the cool-down it is another incident', () => {
  const incidents = newIncidents();
  const first = see(incidents, 'port_scan', { firstMs: 0, lastMs: 1_000 });
  expect(see(incidents, 'port_scan', { firstMs: 50_000, lastMs: 51_000 })).toBeUndefined();
  const second = see(incidents, 'port_scan', { firstMs: 120_000, lastMs: 121_000 });
  expect([first?.number, second?.number]).toEqual([1, 2]);
  expect(second?.tellings).toBe(1);
});

test('floods of many share a target, of one a pair; scans a source, command and control a pair', () => {
  const keys = (threat: Threat, over: Partial<Subject>) => incidentKeys(threat, subject(over)).own;
  expect(keys('ddos', { source: '' })).toBe('ddos|*>192.0.2.9');
  expect(keys('dos', {})).toBe('dos|192.0.2.1>192.0.2.9');
  expect(keys('port_scan', { target: 'a' })).toEqual(keys('port_scan', { target: 'b' }));
  expect(keys('malware_c2', { target: 'a' })).not.toEqual(keys('malware_c2', { target: 'b' }));
});

test('a second flood of another kind is not hidden by the first', () => {
  const incidents = newIncidents();
  expect(see(incidents, 'dos', { packets: 1_000 })?.number).toBe(1);
  expect(see(incidents, 'ddos', { source: '', packets: 500 })?.number).toBe(2);
});

test('a flood of one source stays one incident when its source is not plain for once', () => {
  const incidents = newIncidents();
  see(incidents, 'dos', {});
  see(incidents, 'dos', { source: '' });
  expect([...incidents.open.keys()]).toEqual(['dos|192.0.2.1>192.0.2.9']);
});

test('a flow joins what the windows found', () => {
  const incidents = newIncidents();
  see(incidents, 'ddos', { source: '' });
  see(incidents, 'ddos', { kind: 'flow', source: '10.0.0.7' });
  expect([...incidents.open.keys()]).toEqual(['ddos|*>192.0.2.9']);
});

test('a window joins the flows of its source, not those of another', () => {
  const incidents = newIncidents();
  for (let i = 0; i < 5; i += 1) see(incidents, 'dos', { kind: 'flow' });
  see(incidents, 'dos', {});
  expect([...incidents.open.keys()]).toEqual(['denial|192.0.2.9']);
  see(incidents, 'dos', { source: '192.0.2.5' });
  expect(incidents.open.size).toBe(2);
});

test('an anomaly without a name must last, and yields to what has a name', () => {
  const incidents = newIncidents();
  const told = Array.from({ length: 6 }, () => see(incidents, 'anomaly')?.tellings);
  expect(told).toEqual([undefined, undefined, undefined, undefined, 1, undefined]);
  see(incidents, 'port_scan', { source: '192.0.2.7', target: '192.0.2.8' });
  const after = Array.from({ length: 6 }, () => see(incidents, 'anomaly', { source: '192.0.2.7' }));
  expect(after.every((one) => one === undefined)).toBe(true);
});

test('a flow alone is not yet a flood', () => {
  const incidents = newIncidents();
  const told = Array.from({ length: 6 }, () => see(incidents, 'ddos', { kind: 'flow' })?.tellings);
  expect(told.slice(0, 5)).toEqual([undefined, undefined, undefined, undefined, 1]);
});

test('an address is named only when nearly all sightings name it', () => {
  expect(
    soleName(
      new Map([
        ['a', 19],
        ['b', 1],
      ]),
    ),
  ).toBe('a');
  expect(
    soleName(
      new Map([
        ['a', 2],
        ['b', 1],
      ]),
    ),
  ).toBe('');
  expect(soleName(new Map([['', 3]]))).toBe('');
});

test('incidents are bounded, the least recent gives way', () => {
  const few = config.parse({ incidentsMax: 16 });
  const incidents = newIncidents();
  for (let i = 0; i < 100; i += 1) {
    const vote = {
      threat: 'port_scan',
      confidence: 0.9,
      threshold: 0.7,
      publish: true,
      voices: [],
    } as const;
    sight(few, incidents, { subject: subject({ source: `s${i}` }), severity: 4, vote });
  }
  expect(incidents.open.size).toBe(16);
  expect(incidents.open.has('port_scan|s99')).toBe(true);
});

test('only what is held against a source proves it: its other business does not', () => {
  const busy = subject({ proof: { handshakeShare: 0.7, probes: 0, authSessions: 2 } });
  expect(isProven('port_scan', busy)).toBe(false);
  expect(isProven('dos', busy)).toBe(false);
  expect(isProven('brute_force', busy)).toBe(true);
  expect(
    isProven('port_scan', subject({ proof: { handshakeShare: 0, probes: 1, authSessions: 0 } })),
  ).toBe(true);
});

test('a source that completed a handshake in the attack stays proven', () => {
  const incidents = newIncidents();
  const proof = { handshakeShare: 0.95, probes: 0, authSessions: 0 };
  const incident = see(incidents, 'dos', { proof })!;
  see(incidents, 'dos', {});
  expect([...incident.proven]).toEqual(['192.0.2.1']);
});
