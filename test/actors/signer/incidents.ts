/** Made-up detections whose envelopes agree with their contents. */
import type { Detection } from '#actors/signer/envelope.ts';
import { crypto } from '#native/crypto.ts';
import { encodeAnomalyPayload } from '#proto/anomaly-payload.ts';
import { hex } from '#proto/bytes.ts';
import { encodeEvidenceBlob } from '#proto/evidence-blob.ts';

/** One incident; `n` makes its content its own. */
export const detection = (n: number, entity = `10.0.${n >> 8}.${n & 255}`): Detection => {
  const evidence = encodeEvidenceBlob({ evidenceType: 'flow', refs: [], coc: [] }, { n });
  const payload = encodeAnomalyPayload({
    type: 'ddos',
    source: 'detector-1',
    severity: 7,
    confidence: 0.91,
    model_version: 'ddos-1',
    src_ip: entity,
    dst_ip: '192.168.1.1',
    dst_ports: [80],
    protocol: 'tcp',
    spoofable: false,
    first_seen_ms: 1_000 + n,
    last_seen_ms: 2_000 + n,
    flows: n,
    packets: 10,
    bytes: 1_000,
    engines: [],
    thresholds: { ddos: 0.7 },
    previous: '',
    capture: { source: 'pcap', path: 'a.pcap' },
    evidence_hash: hex(crypto.sha256(evidence)),
  });
  const known = { type: 'ddos', severity: 7, confidence: 0.91, modelVersion: 'ddos-1' };
  return { payload, evidence, entity, ...known };
};
