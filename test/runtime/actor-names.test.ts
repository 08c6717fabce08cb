import { expect, test } from 'vitest';
import { noActor } from '#runtime/control/actor-names.ts';

const PATHS = ['v1.replica', 'v1.executor', 'detection.engines.ml'];

test('a name that means nobody: what was probably meant, by its path or by the end of one', () => {
  expect(noActor('v1.replcia', PATHS, 'actors alone').message).toBe(
    'no actor v1.replcia; did you mean v1.replica?',
  );
  expect(noActor('executer', PATHS, 'actors alone').message).toBe(
    'no actor executer; did you mean executor?',
  );
  expect(noActor('engine.ml', PATHS, 'actors alone').message).toMatch(/mean engines\.ml\?$/);
});

test('a branch is meant only where branches may be', () => {
  expect(noActor('detectoin', PATHS, 'branches').message).toMatch(/did you mean detection\?$/);
  expect(noActor('detectoin', PATHS, 'actors alone').message).toBe('no actor detectoin');
});

test('what is near nothing is just said to be unknown', () => {
  expect(noActor('kafka', PATHS, 'branches').message).toBe('no actor kafka');
  expect(noActor('kafka', [], 'branches').message).toBe('no actor kafka');
});
