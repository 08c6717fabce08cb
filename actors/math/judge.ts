/** Compares windows with the baselines of their hosts, and learns from those that look normal. */
import { hex } from '#proto/bytes.ts';
import { recordsOf, WINDOW, windowSide } from '#proto/flow-batch.ts';
import { newScores, setScore, type Threat } from '#proto/threats.ts';
import {
  accumulate,
  type Baseline,
  DIMENSIONS,
  type Dimension,
  deviations,
  learn,
  mahalanobis,
  newBaseline,
} from './baseline.ts';
import type { MathConfig } from './config.ts';

export type Reason = { readonly feature: string; readonly value: number; readonly limit: number };
export type Finding = {
  readonly subject: number;
  readonly threat: Threat;
  readonly reasons: readonly Reason[];
};

export type Memory = {
  /** Least recently used first. */
  readonly hosts: Map<string, Baseline>;
  /** By side and span. */
  readonly shared: Map<string, Baseline>;
};
export const newMemory = (): Memory => ({ hosts: new Map(), shared: new Map() });

export type Judgement = {
  readonly scores: Float32Array<ArrayBuffer>;
  readonly confidences: Float32Array<ArrayBuffer>;
  readonly findings: Finding[];
};

/** Samples at which a baseline is trusted by half. */
const HALF_SUPPORT_SAMPLES = 30;
/** Spans that have a baseline; the 60 s windows move too slowly for one. */
const SPANS_MAX_MS = 10_000;
/** Cumulative sums stop here, in limits, so that they fall again soon after the cause has gone. */
const SUM_LIMITS_MAX = 5;
/** A window this lopsided teaches nothing: most of what it holds was never answered. */
const UNANSWERED_SHARE_MAX = 0.5;
const UNANSWERED_MIN = 16;

/**
 * The dimensions whose rise speaks for a threat: of each group at least one must rise, and the weakest group counts. A
 * scan is many targets and no answers; more traffic alone is none.
 */
type Speech = {
  readonly spanMs: readonly number[];
  readonly groups: readonly (readonly Dimension[])[];
};
const SPEAKS: {
  readonly [S in 'source' | 'destination']: { readonly [T in Threat]?: Speech };
} = {
  destination: {
    ddos: {
      spanMs: [1_000, 10_000],
      groups: [['packets', 'bytes', 'flows', 'distinctPeers', 'unanswered']],
    },
  },
  source: {
    port_scan: {
      spanMs: [10_000],
      groups: [['distinctPeers', 'distinctPorts'], ['unanswered']],
    },
  },
};

const { get } = WINDOW;

const unansweredOf = (view: DataView, row: number): number =>
  Math.max(0, get.synOnly(view, row) - get.handshakes(view, row)) +
  get.unansweredUdp(view, row) +
  get.icmpPackets(view, row) +
  get.failedPairs(view, row);

export const valuesOf = (view: DataView, row: number): Float64Array =>
  Float64Array.of(
    Math.log1p(get.packets(view, row)),
    Math.log1p(get.bytes(view, row)),
    Math.log1p(get.flows(view, row)),
    Math.log1p(get.distinctPeers(view, row)),
    Math.log1p(get.distinctPorts(view, row)),
    Math.log1p(unansweredOf(view, row)),
    get.entropyPeer(view, row),
    get.entropyLength(view, row),
  );

const teaches = (view: DataView, row: number): boolean => {
  const unanswered = unansweredOf(view, row);
  const share = unanswered / Math.max(1, get.packets(view, row));
  return unanswered < UNANSWERED_MIN || share <= UNANSWERED_SHARE_MAX;
};

/** The baseline of a host, which becomes the most recently used; the least recent gives way. */
const baselineOf = (memory: Memory, key: string, hostsMax: number): Baseline => {
  const known = memory.hosts.get(key);
  if (known !== undefined) {
    memory.hosts.delete(key);
    memory.hosts.set(key, known);
    return known;
  }
  if (memory.hosts.size >= hostsMax) {
    const oldest = memory.hosts.keys().next();
    if (!oldest.done) memory.hosts.delete(oldest.value);
  }
  const fresh = newBaseline();
  memory.hosts.set(key, fresh);
  return fresh;
};

const sharedOf = (memory: Memory, key: string): Baseline => {
  const known = memory.shared.get(key) ?? newBaseline();
  memory.shared.set(key, known);
  return known;
};

const figure = (value: number): number => Number(value.toPrecision(6));
export const scoreOf = (multiple: number): number => 1 - 2 ** -Math.max(0, multiple);

type Strength = { multiple: number; readonly reasons: Reason[] };

const weigh = (strength: Strength, feature: string, value: number, limit: number): void => {
  const multiple = value / limit;
  if (multiple >= 1) strength.reasons.push({ feature, value: figure(value), limit });
  if (multiple > strength.multiple) strength.multiple = multiple;
};

/** How far a window is from its baseline in the dimensions that speak for a threat. */
const strengthOf = (
  config: MathConfig,
  baseline: Baseline,
  z: Float64Array,
  groups: Speech['groups'],
): Strength => {
  const strength: Strength = { multiple: Number.POSITIVE_INFINITY, reasons: [] };
  for (const group of groups) {
    const part: Strength = { multiple: 0, reasons: strength.reasons };
    for (const name of group) {
      const i = DIMENSIONS.indexOf(name);
      weigh(part, `ewma.${name}`, z[i] ?? 0, config.deviationsLimit);
      weigh(part, `cusum.${name}`, baseline.sums[i] ?? 0, config.sumLimit);
    }
    strength.multiple = Math.min(strength.multiple, part.multiple);
  }
  for (const name of ['entropyPeer', 'entropyLength'] as const) {
    const shift = Math.abs(z[DIMENSIONS.indexOf(name)] ?? 0);
    // A shift of entropy alone accuses nobody: it counts where a volume has moved as well.
    if (strength.multiple >= 1) weigh(strength, `shift.${name}`, shift, config.deviationsLimit);
  }
  return strength;
};

const put = (
  judgement: Judgement,
  subject: number,
  threat: Threat,
  strength: Strength,
  support: number,
): void => {
  setScore(judgement.scores, subject, threat, scoreOf(strength.multiple));
  setScore(judgement.confidences, subject, threat, support);
  if (strength.multiple < 1) return;
  const reasons = [...strength.reasons].sort((a, b) => b.value / b.limit - a.value / a.limit);
  judgement.findings.push({ subject, threat, reasons: reasons.slice(0, 8) });
};

/** Learning stops while a window is far out, and begins anew when it has stayed there too long. */
const settle = (
  config: MathConfig,
  baseline: Baseline,
  values: Float64Array,
  atMs: number,
  far: boolean,
  teaching: boolean,
): void => {
  baseline.lastMs = atMs;
  if (far || !teaching) {
    if (baseline.frozenSinceMs < 0) baseline.frozenSinceMs = atMs;
    const frozenMs = Math.abs(atMs - baseline.frozenSinceMs);
    if (!teaching || frozenMs < config.frozenMaxS * 1000) return;
    baseline.samples = 0;
    baseline.mean.fill(0);
    baseline.covariance.fill(0);
    baseline.sums.fill(0);
  }
  baseline.frozenSinceMs = -1;
  learn(baseline, values, config.warmUpSamples);
};

const judgeWindow = (
  config: MathConfig,
  memory: Memory,
  judgement: Judgement,
  view: DataView,
  row: number,
  subject: number,
): void => {
  const spanMs = get.spanMs(view, row);
  if (spanMs > SPANS_MAX_MS) return;
  const side = windowSide(view, row);
  const place = `${side[0]}${spanMs}`;
  const own = baselineOf(
    memory,
    `${place}/${hex(WINDOW.address.address(view, row))}`,
    config.hostsMax,
  );
  const shared = sharedOf(memory, place);
  const values = valuesOf(view, row);
  const atMs = get.lastMs(view, row);
  const ripe = own.samples >= config.warmUpSamples;
  const baseline = ripe ? own : shared.samples >= config.sharedWarmUpSamples ? shared : undefined;
  let far = false;
  if (baseline !== undefined) {
    const z = deviations(baseline, values);
    if (ripe) accumulate(own, z, SUM_LIMITS_MAX * config.sumLimit);
    const support = baseline.samples / (baseline.samples + HALF_SUPPORT_SAMPLES);
    for (const [threat, speech] of Object.entries(SPEAKS[side])) {
      if (!speech.spanMs.includes(spanMs)) continue;
      const strength = strengthOf(config, baseline, z, speech.groups);
      if (strength.multiple >= 1) far = true;
      // Compared with strangers, only what stands out is an opinion.
      if (ripe || strength.multiple >= 1) {
        put(judgement, subject, threat as Threat, strength, support);
        if (threat === 'ddos') put(judgement, subject, 'dos', strength, support);
      }
    }
    if (ripe) {
      const strength: Strength = { multiple: 0, reasons: [] };
      weigh(strength, 'mahalanobis', mahalanobis(own, values), config.distanceLimit);
      put(judgement, subject, 'anomaly', strength, support);
    }
  }
  const teaching = teaches(view, row);
  settle(config, own, values, atMs, ripe && far, teaching);
  if (teaching && !far) learn(shared, values, config.sharedWarmUpSamples);
};

/** Flows are left to others: subjects from `flows` on are the windows. */
export const judge = (
  config: MathConfig,
  memory: Memory,
  batch: { readonly flows: number; readonly windows: number; readonly aggregates: Uint8Array },
): Judgement => {
  const subjects = batch.flows + batch.windows;
  const judgement: Judgement = {
    scores: newScores(subjects),
    confidences: newScores(subjects),
    findings: [],
  };
  const view = recordsOf(batch.aggregates);
  for (let row = 0; row < batch.windows; row += 1) {
    judgeWindow(config, memory, judgement, view, row, batch.flows + row);
  }
  return judgement;
};
