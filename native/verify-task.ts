import type { SignatureClaim } from '#proto/crypto.ts';
import { verifyBatch } from './crypto.ts';

/** The task of a piscina pool: one answer for each claim, in order. */
const verifyTask = (claims: readonly SignatureClaim[]): boolean[] => verifyBatch(claims);

export default verifyTask;
