/** Crypto as cheap as a simulation needs it: nobody in it tries to forge what it does not hold. */
import { hash } from 'node:crypto';
import type { Crypto, Sign } from '#proto/crypto.ts';

export type SimulatedKey = { readonly publicKey: Uint8Array; readonly sign: Sign };

const tag = (publicKey: Uint8Array, message: Uint8Array): Uint8Array => {
  let a = 0x811c9dc5 ^ (publicKey[0] ?? 0);
  let b = 0x01000193 ^ ((publicKey[1] ?? 0) << 8);
  for (const byte of message) {
    a = Math.imul(a ^ byte, 0x01000193);
    b = Math.imul(b + byte, 0x85ebca6b) ^ (b >>> 13);
  }
  const signature = new Uint8Array(64);
  new DataView(signature.buffer).setUint32(0, a >>> 0);
  new DataView(signature.buffer).setUint32(4, b >>> 0);
  signature[8] = publicKey[0] ?? 0;
  return signature;
};

export const simulatedKey = (index: number): SimulatedKey => {
  const publicKey = new Uint8Array(32).fill(index + 1);
  return { publicKey, sign: (message) => tag(publicKey, message) };
};

export const simulatedCrypto: Crypto = {
  sha256: (bytes) => new Uint8Array(hash('sha256', bytes, 'buffer')),
  verify: (publicKey, message, signature) => {
    const wanted = tag(publicKey, message);
    for (let at = 0; at < 9; at += 1) if (wanted[at] !== signature[at]) return false;
    return signature.length === 64;
  },
};
