/** The validator's key, and the pool of threads that verifies signatures in batches. */
import { isAbsolute, join } from 'node:path';
import { readPrivateKey, verifyBatch } from '#native/crypto.ts';
import { EMPTY } from '#proto/bytes.ts';
import type { SignatureClaim } from '#proto/crypto.ts';
import { signControl } from '#proto/wire/control.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import type { IngestConfig } from './config.ts';
import { openSharedNonces } from './shared-nonces.ts';
import type { Commands, NonceClaim, Self } from './state.ts';

const VERIFY_TASK = new URL('../../native/verify-task.ts', import.meta.url);
/** Fewer signatures than this are verified here: the way to another thread costs more. */
const POOL_CLAIMS_MIN = 16;

const deliver = (port: IoPort<Self>, message: Self): void => {
  if (!port.deliver(message)) throw new Error('ingest does not take its own results');
};

/** Of their own: a view would carry the whole batch of records to the other thread. */
const copied = ({ publicKey, message, signature }: SignatureClaim): SignatureClaim => ({
  publicKey: publicKey.slice(),
  message,
  signature: signature.slice(),
});

const results = async (
  port: IoPort<Self>,
  claims: readonly SignatureClaim[],
): Promise<readonly boolean[]> => {
  if (claims.length < POOL_CLAIMS_MIN) return verifyBatch(claims);
  try {
    return await port.pool<boolean[]>(VERIFY_TASK, 'default', claims.map(copied));
  } catch (cause) {
    port.log('warn', 'the pool of threads does not verify: this thread does', { cause });
    port.emit('pool_failures', 1);
    return verifyBatch(claims);
  }
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
        const verified = await results(port, claims);
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
