/** The name under which an installation holds the lease of the projector. */
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeWhole } from '#native/disk.ts';

const HOLDER_FILE = 'holder.id';

/** Names this installation: the same after a restart, another in another data folder. */
export const holderOf = (folder: string, node: string): string => {
  const file = join(folder, HOLDER_FILE);
  if (!existsSync(file)) writeWhole(file, randomUUID(), 0o600);
  return `${node}/${readFileSync(file, 'utf8').trim()}`;
};
