import { expect, test } from 'vitest';
import { actor, testSystem } from '#test/kit/system.ts';

const at = (file: string): URL => new URL(`./fixtures/${file}.ts`, import.meta.url);

test('two actors on two threads ask and answer through the public API', async () => {
  const system = await testSystem([actor('echo', at('echo')), actor('caller', at('caller'))]);
  expect(await system.until(() => system.fact('caller', 'said'))).toBe('HELLO');
  const stopped = await system.end();
  expect(stopped.order).toEqual(['caller', 'echo']);
  expect(stopped.late).toEqual([]);
});
