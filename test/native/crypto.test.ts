import { createHash } from 'node:crypto';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as noble from '@noble/ed25519';
import fc from 'fast-check';
import { Piscina } from 'piscina';
import { afterAll, expect, test } from 'vitest';
import {
  crypto,
  KeyFileError,
  keyPairFromSeed,
  readPrivateKey,
  readSeed,
  verifyBatch,
  writeKeyPair,
} from '#native/crypto.ts';
import { fromHex, hex } from '#proto/bytes.ts';

const folder = mkdtempSync(join(tmpdir(), 'cybermesh-keys-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('the second vector of RFC 8032 comes out', () => {
  const seed = fromHex('4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb');
  const key = keyPairFromSeed(seed);
  expect(hex(key.publicKey)).toBe(
    '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
  );
  const signature = key.sign(Uint8Array.of(0x72));
  expect(hex(signature)).toBe(
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da' +
      '085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
  );
  expect(crypto.verify(key.publicKey, Uint8Array.of(0x72), signature)).toBe(true);
});

test('signatures agree with another implementation, both ways', async () => {
  const seeds = fc.uint8Array({ minLength: 32, maxLength: 32 });
  await fc.assert(
    fc.asyncProperty(seeds, fc.uint8Array({ maxLength: 200 }), async (seed, message) => {
      const key = keyPairFromSeed(seed);
      expect(await noble.getPublicKeyAsync(seed)).toEqual(key.publicKey);
      const signature = key.sign(message);
      expect(await noble.signAsync(message, seed)).toEqual(signature);
      expect(await noble.verifyAsync(signature, message, key.publicKey)).toBe(true);
      expect(crypto.verify(key.publicKey, message, signature)).toBe(true);
    }),
    { seed: 20_260_303, numRuns: 20 },
  );
});

test('keys and signatures of a wrong length or no point are false, not an exception', () => {
  const key = keyPairFromSeed(new Uint8Array(32).fill(1));
  const message = new Uint8Array(3);
  const signature = key.sign(message);
  expect(crypto.verify(key.publicKey.subarray(1), message, signature)).toBe(false);
  expect(crypto.verify(key.publicKey, message, signature.subarray(1))).toBe(false);
  expect(crypto.verify(new Uint8Array(32).fill(0xff), message, signature)).toBe(false);
  expect(crypto.verify(key.publicKey, message, new Uint8Array(64))).toBe(false);
});

test('SHA-256 works on views of shared memory', () => {
  const shared = new Uint8Array(new SharedArrayBuffer(64), 8, 16).fill(5);
  const expected = createHash('sha256').update(Buffer.alloc(16, 5)).digest('hex');
  expect(hex(crypto.sha256(shared))).toBe(expected);
  const key = keyPairFromSeed(new Uint8Array(32).fill(1));
  expect(crypto.verify(key.publicKey, shared, key.sign(shared))).toBe(true);
});

test('a batch has one answer for each claim, also on a pool of threads', async () => {
  const key = keyPairFromSeed(new Uint8Array(32).fill(2));
  const claims = Array.from({ length: 5 }, (_, i) => {
    const message = Uint8Array.of(i);
    const signature = i === 3 ? new Uint8Array(64) : key.sign(message);
    return { publicKey: key.publicKey, message, signature };
  });
  const expected = [true, true, true, false, true];
  expect(verifyBatch(claims)).toEqual(expected);
  const filename = join(import.meta.dirname, '../../native/verify-task.ts');
  const pool = new Piscina({ filename, maxThreads: 1 });
  expect(await pool.run(claims)).toEqual(expected);
  await pool.destroy();
});

test('a key that was written reads back, private to its owner, SPKI beside it', () => {
  const path = join(folder, 'v1.pem');
  const written = writeKeyPair(path);
  const read = readPrivateKey(path);
  expect(read.publicKey).toEqual(written.publicKey);
  expect(keyPairFromSeed(readSeed(path)).publicKey).toEqual(written.publicKey);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readFileSync(path, 'utf8')).toMatch(/^-----BEGIN PRIVATE KEY-----/);
  expect(readFileSync(join(folder, 'v1.pub.pem'), 'utf8')).toMatch(/^-----BEGIN PUBLIC KEY-----/);
  const message = Uint8Array.of(1);
  expect(crypto.verify(written.publicKey, message, read.sign(message))).toBe(true);
});

const codeOf = (action: () => unknown): string => {
  try {
    action();
  } catch (cause) {
    if (cause instanceof KeyFileError) return cause.code;
    throw cause;
  }
  return 'none';
};

test('key files that must not be used are refused by name', () => {
  const path = join(folder, 'v2.pem');
  writeKeyPair(path);
  expect(codeOf(() => writeKeyPair(path))).toBe('exists');
  chmodSync(path, 0o640);
  expect(codeOf(() => readPrivateKey(path))).toBe('too-open');
  expect(codeOf(() => readPrivateKey(join(folder, 'absent.pem')))).toBe('unreadable');
  const text = join(folder, 'text.pem');
  writeFileSync(text, 'hello', { mode: 0o600 });
  expect(codeOf(() => readPrivateKey(text))).toBe('not-ed25519');
});
