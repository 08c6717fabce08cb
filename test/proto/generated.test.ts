import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { GENERATED_DTS, GENERATED_JS, generate } from '#proto/generate.ts';

test('the committed module is what the .proto files generate', { timeout: 60_000 }, async () => {
  const fresh = await generate();
  expect(fresh.js === readFileSync(GENERATED_JS, 'utf8')).toBe(true);
  expect(fresh.dts === readFileSync(GENERATED_DTS, 'utf8')).toBe(true);
});
