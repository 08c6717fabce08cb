/** What became of every anomaly: told by detection, learned from the chain, asked by the API. */
import { address, blob, bool, bytes, f64, question, str, u32 } from '#runtime/actor.ts';

/** The life of an anomaly, in its order. */
export const STATES = [
  'DETECTED',
  'PUBLISHED',
  'ADMITTED',
  'COMMITTED',
  'REJECTED',
  'TIMEOUT',
  'EXPIRED',
] as const;
export type LifecycleState = (typeof STATES)[number];

export const feedback = address('feedback', {
  /** From the signer: it has taken a detection; `atMs` is Unix milliseconds. */
  detected: { contentHash: bytes(32), atMs: f64 },
  /** From the signer: a finite source has ended and all `published` of its anomalies are on the bus. */
  drained: { published: u32 },
  /**
   * Newest first. `state` is a state's name or '' for all; `before` (Unix ms, 0 = now) pages on. `anomalies` is
   * JSON: a list of AnomalyView (lifecycle.ts).
   */
  list: question(
    { state: str, severityMin: u32, limit: u32, before: f64 },
    { anomalies: blob, total: u32 },
  ),
  one: question({ id: str }, { found: bool, anomaly: blob }),
  /** JSON: counts by state, acceptance rate, open policies. */
  summary: question({}, { json: blob }),
});
