import { z } from 'zod';
import { parseCidr } from '#proto/ip.ts';
import type { Threat } from '#proto/threats.ts';

const fraction = z.number().min(0).max(1);
/** One value for each threat, each with its default. */
const byThreat = (schema: z.ZodNumber, values: { readonly [T in Threat]: number }) => {
  const of = (threat: Threat) => schema.default(values[threat]);
  return z.strictObject({
    ddos: of('ddos'),
    dos: of('dos'),
    port_scan: of('port_scan'),
    brute_force: of('brute_force'),
    malware_c2: of('malware_c2'),
    data_exfil: of('data_exfil'),
    anomaly: of('anomaly'),
  });
};

const calibration = z.strictObject({
  slope: z.number().min(0.01).max(100).default(1).describe('of the logit of the score'),
  offset: z.number().min(-20).max(20).default(0).describe('added to the logit'),
});

export const config = z.strictObject({
  name: z.string().min(1).max(64).default('detector').describe('the name that anomalies bear'),
  weights: z
    .strictObject({
      ml: fraction.default(0.5),
      rules: fraction.default(0.3),
      math: fraction.default(0.2),
    })
    .prefault({})
    .describe('say of each engine, 0..1; renormalised over those that did not abstain'),
  calibration: z
    .strictObject({
      ml: calibration.prefault({}),
      rules: calibration.prefault({}),
      math: calibration.prefault({}),
    })
    .prefault({})
    .describe('Platt scaling of each score before the vote; 1 and 0 leave it as it is'),
  thresholds: byThreat(fraction, {
    ddos: 0.7,
    dos: 0.7,
    port_scan: 0.7,
    brute_force: 0.7,
    malware_c2: 0.85,
    data_exfil: 0.7,
    anomaly: 0.75,
  })
    .prefault({})
    .describe('an anomaly is published when its confidence is above this, 0..1'),
  loneThreshold: fraction
    .default(0.9)
    .describe('what an engine needs on which all others abstained, 0..1'),
  supportMin: fraction
    .default(0.3)
    .describe('an engine that trusts its own score less than this abstains, 0..1'),
  flowsMin: byThreat(z.int().min(1).max(10_000), {
    ddos: 5,
    dos: 5,
    port_scan: 5,
    brute_force: 3,
    malware_c2: 1,
    data_exfil: 1,
    anomaly: 2,
  })
    .prefault({})
    .describe('flows of one source and target that must be above the threshold, before they count'),
  anomalyWindowsMin: z
    .int()
    .min(1)
    .max(10_000)
    .default(5)
    .describe('windows of a host that must deviate before it is reported without a name'),
  severity: byThreat(z.int().min(1).max(10), {
    ddos: 6,
    dos: 5,
    port_scan: 4,
    brute_force: 5,
    malware_c2: 7,
    data_exfil: 7,
    anomaly: 2,
  })
    .prefault({})
    .describe('severity 1..10 where the rules say none'),
  coolDownS: z
    .int()
    .min(1)
    .max(86_400)
    .default(300)
    .describe('an incident that was quiet for this long is over, s of capture time'),
  growthFactor: z
    .number()
    .min(2)
    .max(1_000)
    .default(4)
    .describe('an incident is told again when it has grown by this factor'),
  incidentsMax: z
    .int()
    .min(16)
    .max(1_048_576)
    .default(4_096)
    .describe('incidents remembered; the least recent gives way'),
  deadlineMs: z
    .int()
    .min(10)
    .max(600_000)
    .default(5_000)
    .describe('an engine that has not answered a batch by then abstains, ms'),
  pendingMax: z
    .int()
    .min(1)
    .max(4_096)
    .default(128)
    .describe('batches that wait for engines; beyond it the oldest is decided as it stands'),
  protected: z
    .array(z.string().refine((text) => parseCidr(text) !== undefined, 'not address/prefix'))
    .max(1_024)
    .default([])
    .describe('addresses never to be named for a block (own, DNS, gateway ...), as CIDR'),
  capture: z
    .strictObject({
      source: z.string().min(1).max(64).default('telemetry').describe('kind of the source'),
      path: z.string().max(256).default('').describe('base name of its file or folder'),
    })
    .prefault({})
    .describe('what anomalies cite as their origin'),
});

export type EnsembleConfig = z.output<typeof config>;
