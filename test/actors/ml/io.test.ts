import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { config } from '#actors/ml/config.ts';
import type { Self } from '#actors/ml/core.ts';
import { io } from '#actors/ml/io.ts';
import { OWN_MODELS } from '#actors/ml/session.ts';
import { bytesOf, FEATURE_COUNT } from '#proto/flow-batch.ts';
import type { IoPort } from '#runtime/actor.ts';

const { vectors, scores } = JSON.parse(
  readFileSync(path.join(OWN_MODELS, 'parity.json'), 'utf8'),
) as { vectors: number[][]; scores: number[] };

/** Only what this adapter uses; native calls are counted, and how many ran at once. */
const port = () => {
  const delivered: Self[] = [];
  const seen = { inside: 0, most: 0 };
  const native = async <T>(call: () => Promise<T>): Promise<T> => {
    seen.inside += 1;
    seen.most = Math.max(seen.most, seen.inside);
    try {
      return await call();
    } finally {
      seen.inside -= 1;
    }
  };
  const deliver = (message: Self): boolean => delivered.push(message) > 0;
  return { delivered, seen, port: { deliver, native } as unknown as IoPort<Self> };
};

const slab = (rows: readonly number[][]): Uint8Array => {
  const bytes = new Uint8Array(new SharedArrayBuffer(rows.length * FEATURE_COUNT * 4));
  bytes.set(bytesOf(Float32Array.from(rows.flat())));
  return bytes;
};

test('rows of a shared slab are scored as LightGBM scores them, high ones come with their vectors', async () => {
  const { delivered, port: given } = port();
  const adapter = await io(config.parse({}), given);
  const rows = Uint32Array.from(vectors.keys()).filter((row) => row % 2 === 0);
  await adapter.commands.score({ ticket: 5, vectors: slab(vectors), rows, explainFrom: 0.5 });
  const [message] = delivered;
  if (message?.kind !== 'scored') throw new Error(`got ${message?.kind}`);
  expect(message.ticket).toBe(5);
  rows.forEach((row, k) => {
    expect(Math.abs(message.scores[k]! - scores[row]!)).toBeLessThan(1e-5);
  });
  const high = message.scores.filter((score) => score >= 0.5).length;
  expect(message.vectors.length).toBe(high * FEATURE_COUNT);
  await adapter.close?.();
});

test('one run at a time is inside the runtime, and the answers keep their order', async () => {
  const { delivered, seen, port: given } = port();
  const adapter = await io(config.parse({}), given);
  const rows = Uint32Array.of(0, 1, 2);
  const runs = [1, 2, 3, 4].map((ticket) =>
    adapter.commands.score({ ticket, vectors: slab(vectors), rows, explainFrom: 0.5 }),
  );
  await Promise.all(runs);
  expect(delivered.map((one) => (one.kind === 'scored' ? one.ticket : one.kind))).toEqual([
    1, 2, 3, 4,
  ]);
  expect(seen.most).toBe(1);
  await adapter.close?.();
});

test('the engine does not start with a model that is refused', async () => {
  const { port: given } = port();
  const settings = config.parse({ models: '/nonexistent' });
  await expect(Promise.resolve(io(settings, given))).rejects.toThrow(/cannot read manifest/);
});
