import { z } from 'zod';
import { WINDOW_DEFAULTS } from './windows/settings.ts';

const port = z.int().min(0).max(65_535);

/** What the windows count apart, and how much they may remember. */
const windows = z.strictObject({
  hostsMax: z
    .int()
    .min(16)
    .max(65_536)
    .default(WINDOW_DEFAULTS.hostsMax)
    .describe('Addresses remembered on each side, about 12 KiB each'),
  connectionsMax: z
    .int()
    .min(1_024)
    .max(4_194_304)
    .default(WINDOW_DEFAULTS.connectionsMax)
    .describe('Conversations followed, 29 bytes each'),
  authPorts: z
    .array(port)
    .default([...WINDOW_DEFAULTS.authPorts])
    .describe('TCP ports where one logs in'),
  reflectorPorts: z
    .array(port)
    .default([...WINDOW_DEFAULTS.reflectorPorts])
    .describe('UDP ports of services that answer with more than they are asked'),
  authSessionBytesMax: z
    .int()
    .min(1)
    .default(WINDOW_DEFAULTS.authSessionBytesMax)
    .describe('A session that failed to log in sends up to this much payload, bytes'),
  authSessionSecondsMax: z
    .int()
    .min(1)
    .max(3_600)
    .default(WINDOW_DEFAULTS.authSessionSecondsMax)
    .describe('A session that failed to log in lasts up to this long, s'),
  floorPackets: z
    .int()
    .min(1)
    .default(WINDOW_DEFAULTS.floorPackets)
    .describe('A window of 1 or 10 s is handed out from so many packets on'),
  floorFlows: z
    .int()
    .min(1)
    .default(WINDOW_DEFAULTS.floorFlows)
    .describe('A window of 60 s is handed out from so many new flows on'),
  lateMaxS: z
    .int()
    .min(0)
    .max(3_600)
    .default(WINDOW_DEFAULTS.lateMaxS)
    .describe('A packet older than this belongs to another time, s of capture time'),
  lateRunMax: z
    .int()
    .min(1)
    .default(WINDOW_DEFAULTS.lateRunMax)
    .describe('So many packets of another time in a row move the clock back'),
});

export const config = z.strictObject({
  flowTimeoutMs: z
    .int()
    .min(1_000)
    .max(86_400_000)
    .default(120_000)
    .describe('A flow is cut this long after its first packet, ms of capture time'),
  activityTimeoutMs: z
    .int()
    .min(100)
    .max(3_600_000)
    .default(5_000)
    .describe('A gap above this is idle time within a flow, ms of capture time'),
  lingerMs: z
    .int()
    .min(0)
    .max(120_000)
    .default(5_000)
    .describe('An ended TCP flow waits this long for late packets, ms of capture time'),
  reorderMs: z
    .int()
    .min(0)
    .max(60_000)
    .default(1_000)
    .describe(
      'A packet this much older than its flow is out of order, ms; beyond it time begins anew',
    ),
  flowsMax: z
    .int()
    .min(16)
    .max(4_194_304)
    .default(65_536)
    .describe('Flows held at once; the least recently used one is finished when there are more'),
  windows: windows.prefault({}).describe('Counters of each source and each destination'),
});

export type FeaturesConfig = z.output<typeof config>;
