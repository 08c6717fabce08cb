/** The fixed keys of the test chain as files, for what reads its key from disk. */
import { createPrivateKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** RFC 8410: what stands before the 32 bytes of the seed. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');

/** Writes the key with that seed (see `chain-genesis.ts`) and gives the absolute path. */
export const writeKeyFile = (folder: string, name: string, seed: number): string => {
  const der = Buffer.concat([PKCS8_PREFIX, Buffer.alloc(32, seed)]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
  const path = join(folder, `${name}.pem`);
  writeFileSync(path, key.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
  return path;
};
