/**
 * Why a flow got its score, as far as a forest can say cheaply: the model and its cut, and the
 * features that stand furthest from the median of benign training flows, in robust deviations of
 * the logarithm.
 */
import { FEATURE_COUNT, FEATURE_NAMES } from '#proto/features.ts';
import type { Manifest, ModelEntry } from './manifest.ts';

export type Reason = {
  readonly feature: string;
  readonly value: number;
  /** The model's cut; for a feature the median of benign flows. */
  readonly limit: number;
  /** ATT&CK. */
  readonly technique?: string;
};

/** From this score on a verdict carries reasons. */
export const EXPLAINED_FROM = 0.5;
const FEATURES_SHOWN = 3;
/** Endpoint Denial of Service. */
const TECHNIQUE = 'T1499';

/** A figure for people: six digits, so that it reads the same wherever it is printed. */
const figure = (value: number): number => Number(value.toPrecision(6));

/** Returns the explainer of one model: what does not change is computed once. */
export const explainer = (manifest: Manifest, model: ModelEntry) => {
  const { median, scale } = manifest.benign;
  const open: number[] = [];
  for (let k = 0; k < FEATURE_COUNT; k += 1) {
    if (!model.masked.includes(FEATURE_NAMES[k] ?? '')) open.push(k);
  }
  const limits = median.map((log) => figure(Math.expm1(log)));
  const deviation = (vector: Float32Array, k: number): number =>
    Math.abs(Math.log1p(Math.abs(vector[k] ?? 0)) - (median[k] ?? 0)) / (scale[k] ?? 1);

  const furthest = (vector: Float32Array): readonly number[] => {
    const top: { readonly k: number; readonly far: number }[] = [];
    for (const k of open) {
      const far = deviation(vector, k);
      if (top.length === FEATURES_SHOWN && far <= (top.at(-1)?.far ?? 0)) continue;
      let at = top.length;
      while (at > 0 && far > (top[at - 1]?.far ?? 0)) at -= 1;
      top.splice(at, 0, { k, far });
      if (top.length > FEATURES_SHOWN) top.pop();
    }
    return top.map(({ k }) => k);
  };

  return (vector: Float32Array, score: number): readonly Reason[] => [
    {
      feature: `ml.${model.version}`,
      value: figure(score),
      limit: model.threshold,
      technique: TECHNIQUE,
    },
    ...furthest(vector).map((k) => ({
      feature: FEATURE_NAMES[k] ?? '',
      value: figure(vector[k] ?? 0),
      limit: limits[k] ?? 0,
    })),
  ];
};

export type Explainer = ReturnType<typeof explainer>;
