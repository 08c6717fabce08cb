import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hash,
  type KeyObject,
  sign as signWith,
  verify as verifyWith,
} from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import type { Crypto, KeyPair, SignatureClaim } from '#proto/crypto.ts';
import { diskFault } from './disk.ts';

/** RFC 8410: what stands before the 32 raw bytes of an Ed25519 key. */
const SPKI_PREFIX = Buffer.from('302a300506032b6570032100', 'hex');
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const KEY_BYTES = 32;
const SIGNATURE_BYTES = 64;
/** Committees, producers and agents together stay far below; a flood of foreign keys evicts. */
const KEY_CACHE_MAX = 1024;

const cache = new Map<string, KeyObject>();

/** Parsing the DER costs more than a hash lookup; oldest out first. */
const publicKeyOf = (raw: Uint8Array): KeyObject => {
  const name = Buffer.from(raw.buffer, raw.byteOffset, raw.length).toString('latin1');
  const known = cache.get(name);
  if (known !== undefined) return known;
  const key = createPublicKey({
    key: Buffer.concat([SPKI_PREFIX, raw]),
    format: 'der',
    type: 'spki',
  });
  if (cache.size >= KEY_CACHE_MAX) cache.delete(cache.keys().next().value!);
  cache.set(name, key);
  return key;
};

const verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  if (publicKey.length !== KEY_BYTES || signature.length !== SIGNATURE_BYTES) return false;
  try {
    return verifyWith(null, message, publicKeyOf(publicKey), signature);
  } catch {
    return false; // OpenSSL throws where bytes are no point of the curve
  }
};

/** OpenSSL through node:crypto, for all verification by validators: on mixed-order points other
 * libraries differ, and replicas must not. */
export const crypto: Crypto = {
  sha256: (bytes) => {
    const digest = hash('sha256', bytes, 'buffer');
    return new Uint8Array(digest.buffer, digest.byteOffset, digest.length);
  },
  verify,
};

/** One answer for each claim, in order. */
export const verifyBatch = (claims: readonly SignatureClaim[]): boolean[] =>
  claims.map((claim) => verify(claim.publicKey, claim.message, claim.signature));

export type KeyFileErrorCode = 'unreadable' | 'too-open' | 'not-ed25519' | 'exists';

/** Says which file and why, never what was in it. */
export class KeyFileError extends Error {
  readonly code: KeyFileErrorCode;
  readonly path: string;
  constructor(code: KeyFileErrorCode, path: string, reason: string) {
    super(`key file ${path}: ${reason}`);
    this.name = 'KeyFileError';
    this.code = code;
    this.path = path;
  }
}

/** Reads the 32-byte seed of a key file, for a library that does its own Ed25519. Throws
 * KeyFileError. */
export const readSeed = (path: string): Uint8Array => {
  const { d } = readKeyObject(path).export({ format: 'jwk' });
  return Uint8Array.from(Buffer.from(String(d), 'base64url'));
};

const keyPairOf = (privateKey: KeyObject): KeyPair => {
  const spki = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
  return {
    publicKey: Uint8Array.from(spki.subarray(SPKI_PREFIX.length)),
    sign: (message) => Uint8Array.from(signWith(null, message, privateKey)),
  };
};

/** Reads PKCS#8 PEM. Throws KeyFileError where the file cannot be read, is open to others than its
 * owner (mode beyond 0600) or holds no Ed25519 key. */
export const readPrivateKey = (path: string): KeyPair => keyPairOf(readKeyObject(path));

const readKeyObject = (path: string): KeyObject => {
  let pem: string;
  let mode: number;
  try {
    const file = openSync(path, 'r');
    try {
      mode = fstatSync(file).mode & 0o777;
      pem = readFileSync(file, 'utf8');
    } finally {
      closeSync(file);
    }
  } catch (cause) {
    throw new KeyFileError('unreadable', path, inWords(errorCode(cause)));
  }
  if ((mode & 0o077) !== 0) {
    const text = mode.toString(8).padStart(4, '0');
    throw new KeyFileError('too-open', path, `mode ${text} lets others read it; chmod 0600`);
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    throw new KeyFileError('not-ed25519', path, 'no PKCS#8 PEM private key');
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new KeyFileError('not-ed25519', path, `holds a key of type ${key.asymmetricKeyType}`);
  }
  return key;
};

/** Creates a key: PKCS#8 PEM at `path`, mode 0600, and SPKI PEM beside it (`v1.pem` ->
 * `v1.pub.pem`). Both are on disk when this returns. Never overwrites: a lost key is a lost
 * validator. Throws KeyFileError. */
export const writeKeyPair = (path: string): KeyPair => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  writeNew(path, privateKey.export({ format: 'pem', type: 'pkcs8' }).toString());
  const publicPath = path.replace(/(?:\.pem)?$/, '.pub.pem');
  writeNew(publicPath, publicKey.export({ format: 'pem', type: 'spki' }).toString());
  return keyPairOf(privateKey);
};

const writeNew = (path: string, pem: string): void => {
  let file: number;
  try {
    file = openSync(path, 'wx', 0o600);
  } catch (cause) {
    const code = errorCode(cause);
    if (code === 'EEXIST') {
      throw new KeyFileError('exists', path, 'it exists, and is never overwritten');
    }
    const reason = code === 'ENOENT' ? 'its folder does not exist' : inWords(code);
    throw new KeyFileError('unreadable', path, reason);
  }
  try {
    writeFileSync(file, pem);
    fsyncSync(file);
  } catch (cause) {
    // Half a key would be refused for ever, as it is never overwritten.
    rmSync(path, { force: true });
    throw diskFault(cause, path);
  } finally {
    closeSync(file);
  }
};

/** A key from its 32-byte seed (RFC 8032), for simulations and tests that repeat. */
export const keyPairFromSeed = (seed: Uint8Array): KeyPair =>
  keyPairOf(
    createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' }),
  );

const WORDS: { readonly [code: string]: string } = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'its folder is no folder',
  EISDIR: 'it is a folder',
  EACCES: 'permission denied',
};
const inWords = (code: string): string => WORDS[code] ?? code;

const errorCode = (cause: unknown): string =>
  cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
