/** The validator's key, and the pool of threads that verifies signatures in batches. */
import { isAbsolute, join } from 'node:path';
import { readPrivateKey } from '#native/crypto.ts';
import { EMPTY } from '#proto/bytes.ts';
import { signControl } from '#proto/wire/control.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import { verifySignatures } from '#runtime/signatures.ts';
import type { IngestConfig } from './config.ts';
import { openSharedNonces } from './shared-nonces.ts';
import type { Commands, NonceClaim, Self } from './state.ts';

const deliver = (port: IoPort<Self>, message: Self): void => {
  if (!port.deliver(message)) throw new Error('ingest does not take its own results');
};

/** A nonce counts only when every signature of its message holds: nobody can use up another's. */
const claimable = (
  nonces: NonNullable<Commands['verify']['nonces']>,
  verified: readonly boolean[],
): readonly (NonceClaim | null)[] => {
  let at = 0;
  return nonces.map(({ signatures, claim }) => {
    const own = verified.slice(at, at + signatures);
    at += signatures;
    return own.length === signatures && own.every(Boolean) ? claim : null;
  });
};

export const keyPath = (dataDir: string, key: string): string =>
  isAbsolute(key) ? key : join(dataDir, 'keys', key);

export const io: Io<IngestConfig, Self, Commands> = async (config, port) => {
  const key = readPrivateKey(keyPath(port.node.dataDir, config.key));
  const shared = await openSharedNonces(config, port);
  return {
    commands: {
      open: () => deliver(port, { kind: 'opened', publicKey: key.publicKey }),
      verify: async ({ batch, claims, nonces = [] }) => {
        const verified = await verifySignatures(port, claims);
        const sightings = await shared.claim(claimable(nonces, verified));
        deliver(port, { kind: 'verifiedBatch', batch, results: verified, sightings });
      },
      sign: ({ reports }) => {
        const signed = reports.map((report) => ({
          key: report.anomalyId || report.evidenceId,
          value: signControl(
            'evidence-request',
            {
              ...report,
              requestType: 'validation_result',
              requestedTypes: [],
              requestReason: '',
              deadlineTs: 0,
              evidenceQualityScore: 0,
              challengeReason: '',
              challengeData: EMPTY,
              producerId: key.publicKey,
            },
            key.sign,
          ),
        }));
        deliver(port, { kind: 'signed', reports: signed });
      },
    },
    close: shared.close,
  };
};
