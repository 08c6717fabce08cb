/** What an engine answers to one batch, as it travels to the ensemble. */
import { EMPTY, utf8 } from './bytes.ts';
import { bytesOf } from './record-layout.ts';

/** Matrices of Float32, subjects x threats, NaN = abstains; `reasons` is UTF-8 JSON, a list of findings. */
export type EncodedVerdict = {
  readonly abstained: boolean;
  readonly scores: Uint8Array;
  readonly confidences: Uint8Array;
  readonly reasons: Uint8Array;
};

/** Findings of one batch that travel; the scores always do. */
export const FINDINGS_MAX = 512;

/** The engine has nothing to say of this batch. */
export const ABSTAINED: EncodedVerdict = {
  abstained: true,
  scores: EMPTY,
  confidences: EMPTY,
  reasons: utf8('[]'),
};

/** The caller bounds `findings`. */
export const encodeVerdict = (
  scores: Float32Array<ArrayBuffer>,
  confidences: Float32Array<ArrayBuffer>,
  findings: readonly unknown[],
): EncodedVerdict => ({
  abstained: false,
  scores: bytesOf(scores),
  confidences: bytesOf(confidences),
  reasons: utf8(JSON.stringify(findings)),
});
