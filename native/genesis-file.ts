import { readFileSync } from 'node:fs';
import { type Genesis, pinnedGenesis } from '#proto/genesis.ts';
import { crypto } from './crypto.ts';

/** Reads a genesis file and compares it with its pinned hash (hex). Throws an error that names the file. */
export const readGenesis = (pinned: {
  readonly file: string;
  readonly sha256: string;
}): Genesis => {
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(pinned.file);
  } catch (cause) {
    throw new Error(`genesis file ${pinned.file} cannot be read`, { cause });
  }
  const genesis = pinnedGenesis(bytes, pinned.sha256, crypto);
  if (!genesis.ok) throw new Error(`genesis file ${pinned.file}: ${genesis.error}`);
  return genesis.value;
};
