/** What pure code may ask of cryptography; node:crypto stands behind it in `native/crypto.ts`. */
export type Crypto = {
  /** 32 bytes. */
  sha256(bytes: Uint8Array): Uint8Array;
  /** Ed25519 (RFC 8032). A key or signature of a wrong length is false, never a throw. */
  verify(publicKey32: Uint8Array, message: Uint8Array, signature64: Uint8Array): boolean;
};

/** Ed25519 over the whole message; 64 bytes. The key stays inside. */
export type Sign = (message: Uint8Array) => Uint8Array;

/** Something that claims to be signed: what a batch of verifications consists of. */
export type SignatureClaim = {
  /** 32 bytes, raw. */
  readonly publicKey: Uint8Array;
  readonly message: Uint8Array;
  /** 64 bytes. */
  readonly signature: Uint8Array;
};

/** The public half (32 bytes, raw) and the means to sign. */
export type KeyPair = { readonly publicKey: Uint8Array; readonly sign: Sign };
