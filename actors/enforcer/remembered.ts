/**
 * Signatures that were found good are not verified again. Each validator proves the policies of a block with a quorum of
 * its own, out of the same votes: what `proto/known-anchors.ts` does not know whole consists of parts that are known here.
 */
import { hex } from '#proto/bytes.ts';
import type { Crypto } from '#proto/crypto.ts';

/** Two certificates of a hundred validators for each of some twenty blocks. */
const REMEMBERED_MAX = 4096;

/** Only success is remembered, under the hash of everything that was signed and by whom. Pure but for its memory. */
export const remembered = (crypto: Crypto): Crypto => {
  const good = new Set<string>();
  return {
    ...crypto,
    verify: (publicKey, message, signature) => {
      const name = `${hex(publicKey)} ${hex(signature)} ${hex(crypto.sha256(message))}`;
      if (good.has(name)) return true;
      if (!crypto.verify(publicKey, message, signature)) return false;
      if (good.size >= REMEMBERED_MAX) good.delete(good.values().next().value!);
      good.add(name);
      return true;
    },
  };
};
