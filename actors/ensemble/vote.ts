/**
 * From the engines' scores on one subject to at most one confidence for each threat. Pure arithmetic: what `explain`
 * repeats.
 */
import type { Threat } from '#proto/threats.ts';
import type { EnsembleConfig } from './config.ts';
import type { Engine } from './protocol.ts';

export type Reason = {
  readonly feature: string;
  readonly value: number;
  readonly limit: number;
  readonly technique?: string;
};

/** What one engine says of one subject and threat. */
export type Opinion = {
  readonly engine: Engine;
  readonly score: number;
  /** How far it trusts that. */
  readonly confidence: number;
  readonly reasons: readonly Reason[];
};

export type Voice = Opinion & { readonly weight: number };

export type Vote = {
  readonly threat: Threat;
  /** sum(weight x score) / sum(weight), 0..1. */
  readonly confidence: number;
  /** What it had to exceed (or reach, for a lone engine). */
  readonly threshold: number;
  readonly publish: boolean;
  /** Those that did not abstain, heaviest first; weights are renormalised. */
  readonly voices: readonly Voice[];
};

/** Six digits, so that a payload reads the same wherever it is made. */
export const figure = (value: number): number => Math.round(value * 1e6) / 1e6;

const ALMOST = 1e-6;

/** Platt scaling (Platt 1999): a logistic function of the score's logit. */
export const calibrate = (
  score: number,
  { slope, offset }: { readonly slope: number; readonly offset: number },
): number => {
  if (slope === 1 && offset === 0) return score;
  const clipped = Math.min(1 - ALMOST, Math.max(ALMOST, score));
  const logit = Math.log(clipped / (1 - clipped));
  return 1 / (1 + Math.exp(-(slope * logit + offset)));
};

type Settings = Pick<
  EnsembleConfig,
  'weights' | 'calibration' | 'thresholds' | 'loneThreshold' | 'supportMin'
>;

/** `opinions`: at most one an engine; a score that is NaN, or hardly supported, abstains. */
export const vote = (
  settings: Settings,
  threat: Threat,
  opinions: readonly Opinion[],
): Vote | undefined => {
  const heard = opinions.filter(
    ({ score, confidence, engine }) =>
      !Number.isNaN(score) && confidence >= settings.supportMin && settings.weights[engine] > 0,
  );
  const total = heard.reduce((sum, { engine }) => sum + settings.weights[engine], 0);
  if (total <= 0) return undefined;
  const voices = heard
    .map((opinion) => ({
      ...opinion,
      score: figure(calibrate(opinion.score, settings.calibration[opinion.engine])),
      confidence: figure(opinion.confidence),
      weight: figure(settings.weights[opinion.engine] / total),
    }))
    .sort((a, b) => b.weight - a.weight);
  const exact = heard.reduce(
    (sum, { engine, score }) =>
      sum + settings.weights[engine] * calibrate(score, settings.calibration[engine]),
    0,
  );
  const confidence = figure(Math.min(1, exact / total));
  const usual = settings.thresholds[threat];
  if (voices.length > 1) {
    return { threat, confidence, threshold: usual, publish: confidence > usual, voices };
  }
  const threshold = Math.max(usual, settings.loneThreshold);
  return { threat, confidence, threshold, publish: confidence >= threshold, voices };
};
