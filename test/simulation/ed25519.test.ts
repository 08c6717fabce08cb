import { expect, test } from 'vitest';
import { crypto, keyPairFromSeed } from '#native/crypto.ts';
import { run } from '#test/kit/simulator/simulator.ts';

const pairs = [1, 2, 3, 4].map((byte) => keyPairFromSeed(new Uint8Array(32).fill(byte)));

test('with real Ed25519 the same machine commits through forgery, loss and crashes', () => {
  for (const seed of [1, 2]) {
    const { violation, stats } = run({
      seed,
      n: 4,
      keys: { pairs, crypto },
      faults: ['forge', 'drop', 'crash', 'withhold'],
      faultsMs: 6_000,
      transactions: 15,
    });
    expect(violation, `seed ${seed}`).toBeUndefined();
    expect(stats.heights).toBeGreaterThan(0);
  }
}, 60_000);
