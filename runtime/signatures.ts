/** Signatures in batches, beside the thread that wants to know: on the pool, and here where that costs less or fails. */
import { verifyBatch } from '#native/crypto.ts';
import type { SignatureClaim } from '#proto/crypto.ts';
import type { IoPort } from './actor.ts';

const VERIFY_TASK = new URL('../native/verify-task.ts', import.meta.url);
/** Fewer than this are verified by whoever asks: the way to another thread costs more. */
const POOL_CLAIMS_MIN = 16;

/** Of their own: a view would carry the whole batch of records to the other thread. */
const copied = ({ publicKey, message, signature }: SignatureClaim): SignatureClaim => ({
  publicKey: publicKey.slice(),
  message,
  signature: signature.slice(),
});

/** One answer for each claim, in order. */
export const verifySignatures = async (
  port: Pick<IoPort<never>, 'pool' | 'log' | 'emit'>,
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
