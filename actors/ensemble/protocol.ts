import { address, blob, bool, oneOf, shared, str, u32 } from '#runtime/actor.ts';

/** The words of the engines; a batch is decided when all three have answered or the deadline is over. */
export const ENGINES = ['rules', 'math', 'ml'] as const;
export type Engine = (typeof ENGINES)[number];

/** A batch as engines score it: `vectors` Float32 flows x 79, `columns` flows x FLOW, `aggregates` windows x WINDOW. */
export const scoredBatch = {
  epoch: u32,
  seq: u32,
  flows: u32,
  windows: u32,
  vectors: shared,
  columns: shared,
  aggregates: shared,
  end: bool,
} as const;

/** Puts the engines' verdicts together, aggregates them into incidents, hands these to the signer. */
export const ensemble = address('ensemble', {
  /** From features. `capture` is what this epoch reads, `kind:base name` or the kind alone: `pcap:scan.pcap.gz`. */
  batch: { ...scoredBatch, capture: str },
  /**
   * From an engine: Float32 matrices (flows + windows) x threats, NaN = abstains; both empty when
   * `abstained`. `reasons` is UTF-8 JSON, [{subject, threat, reasons: [{feature, value, limit, technique?}]}],
   * for what it scored 0.5 or more.
   */
  verdict: {
    engine: oneOf('rules', 'math', 'ml'),
    epoch: u32,
    seq: u32,
    abstained: bool,
    scores: shared,
    confidences: shared,
    reasons: blob,
  },
  /** From the signer: the fate of one detection, by its anomaly id. */
  published: {
    id: str,
    outcome: oneOf('published', 'duplicate', 'dropped'),
    epoch: u32,
    seq: u32,
  },
});
