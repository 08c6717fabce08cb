import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { actor, testSystem } from '#test/kit/system.ts';
import { fixture } from './driver.ts';

const SEED = Number(process.env.SEED ?? Date.now() % 100_000);
const KILLS = 10;

test(`threads killed at random under load: work always goes on, in order (seed ${SEED})`, async () => {
  let random = SEED;
  const next = (most: number): number => {
    random = (Math.imul(random, 1103515245) + 12345) & 0x7fffffff;
    return (random >>> 8) % most;
  };
  const system = await testSystem([
    actor('checker', fixture('checker'), { mailbox: { depth: 64, onFull: 'backpressure' } }),
    actor('sequence', fixture('sequence')),
    actor('second', fixture('sequence'), {
      actor: 'other',
      thread: 'checker',
      config: { sender: 1 },
    }),
  ]);
  const progress = (name: string): number => {
    try {
      return Number(readFileSync(join(system.dataDir, name, 'n'), 'utf8'));
    } catch {
      return 0;
    }
  };
  try {
    for (let k = 0; k < KILLS; k++) {
      await new Promise((done) => setTimeout(done, next(30)));
      await system.kill(['checker', 'sequence'][next(2)]!);
      const before = [progress('sequence'), progress('second')];
      await system.until(
        () => progress('sequence') > before[0]! && progress('second') > before[1]!,
        10_000,
      );
    }
    const checker = system.metrics().actors[0]!;
    expect(checker.counters.notes).toBeGreaterThan(500);
    expect(checker.counters.disorder ?? 0).toBe(0);
    expect(system.tree().state).toBe('running');
  } finally {
    await system.end();
  }
}, 90_000);
