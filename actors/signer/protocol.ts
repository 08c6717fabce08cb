/**
 * Signs what the ensemble has decided and puts it on the bus, at a bounded rate, surviving crashes.
 */
import { address, atom, blob, f64, str, u32 } from '#runtime/actor.ts';

export const signer = address('signer', {
  /**
   * From the ensemble: one incident. `payload` (proto/anomaly-payload.ts) and `evidence`
   * (proto/evidence-blob.ts) are canonical JSON; `entity` is the key on the bus, the source IP;
   * `severity` 1..10, `confidence` 0..1. Answered by `published` when its fate is durable; told
   * again, it is answered again.
   */
  detection: {
    epoch: u32,
    seq: u32,
    payload: blob,
    evidence: blob,
    entity: str,
    type: atom,
    severity: u32,
    confidence: f64,
    modelVersion: atom,
  },
  /**
   * From the ensemble: the source has ended and every detection was told. Told again after this
   * actor has terminated, as the detections without an answer are.
   */
  ended: { epoch: u32 },
});
