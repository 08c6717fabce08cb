/** A small chain for tests: four validators, a detector, an operator and an enforcer with fixed keys. */
import { keyPairFromSeed } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import type { KeyPair } from '#proto/crypto.ts';
import { defaultNeverBlock, defaultParameters, type Genesis } from '#proto/genesis.ts';

const keyOf = (seed: number): KeyPair => keyPairFromSeed(new Uint8Array(32).fill(seed));

export const keys = {
  v1: keyOf(1),
  v2: keyOf(2),
  v3: keyOf(3),
  v4: keyOf(4),
  detector: keyOf(11),
  operator: keyOf(12),
  enforcer: keyOf(13),
  /** Registered nowhere. */
  stranger: keyOf(99),
} as const;

export const GENESIS_TIME_MS = 1_780_000_000_000;

const validator = (name: 'v1' | 'v2' | 'v3' | 'v4') => ({
  name,
  publicKey: hex(keys[name].publicKey),
  weight: 1,
});
const producer = (name: 'detector' | 'operator' | 'enforcer') => ({
  name,
  publicKey: hex(keys[name].publicKey),
  role: name,
  quotaPerMinute: 6000,
});

export const testGenesis = (
  parameters: Partial<Genesis['parameters']> = {},
  neverBlock: readonly string[] = defaultNeverBlock,
): Genesis => ({
  chainId: 'test',
  timeMs: GENESIS_TIME_MS,
  validators: (['v1', 'v2', 'v3', 'v4'] as const).map(validator),
  producers: (['detector', 'operator', 'enforcer'] as const).map(producer),
  parameters: { ...defaultParameters, ...parameters },
  neverBlock: [...neverBlock],
});
