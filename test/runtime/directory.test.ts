import { expect, test } from 'vitest';
import type { ActorSpec, ChildSpec } from '#runtime/spec.ts';
import { placesOf, resolve } from '#runtime/system/directory.ts';
import { layLanes } from '#runtime/system/laying.ts';
import { actor, supervisor } from '#test/kit/system.ts';

const at = new URL('file:///a.ts');
const a = (name: string, given: Partial<ActorSpec> = {}): ActorSpec => actor(name, at, given);
const validator = (name: string): ChildSpec =>
  supervisor(name, [
    a('replica'),
    a('executor', { thread: 'replica' }),
    a('ingest', { thread: 'replica' }),
  ]);
const root = supervisor('root', [
  a('bus'),
  supervisor('detection', [
    a('features'),
    supervisor('engines', [a('rules'), a('ml')]),
    a('ensemble'),
  ]),
  validator('v1'),
  validator('v2'),
  a('persistence'),
]);
const places = placesOf(root);
const look = (from: string, name: string, branch?: string): string | readonly string[] => {
  const found = resolve(places, from, name, branch);
  if (found.found === 'one') return places[found.index]!.path;
  if (found.found === 'pool') return found.members.map((index) => places[index]!.path);
  return found.found === 'none' ? 'none' : found.paths;
};

test('actors are numbered in start order; those that share a thread have one', () => {
  expect(places.map((p) => p.path).slice(0, 6)).toEqual([
    'bus',
    'detection.features',
    'detection.engines.rules',
    'detection.engines.ml',
    'detection.ensemble',
    'v1.replica',
  ]);
  const of = (path: string): number => places.find((p) => p.path === path)!.thread;
  expect(of('v1.executor')).toBe(of('v1.replica'));
  expect(of('v2.replica')).not.toBe(of('v1.replica'));
});

test.each([
  ['v1.replica', 'executor', undefined, 'v1.executor'],
  ['v2.ingest', 'replica', undefined, 'v2.replica'],
  ['v2.ingest', 'bus', undefined, 'bus'],
  ['detection.features', 'rules', undefined, 'detection.engines.rules'],
  ['detection.engines.ml', 'ensemble', undefined, 'detection.ensemble'],
  ['bus', 'ml', undefined, 'detection.engines.ml'],
  ['persistence', 'executor', 'v2', 'v2.executor'],
  ['v1.replica', 'executor', 'v2', 'v2.executor'],
  ['v1.replica', 'replica', undefined, 'v1.replica'],
  ['persistence', 'persistence', 'persistence', 'persistence'],
  ['persistence', 'executor', 'v9', 'none'],
  ['bus', 'nobody', undefined, 'none'],
])('%s -> %s (branch %s) is %s', (from, name, branch, path) => {
  expect(look(from, name, branch)).toBe(path);
});

test('from outside an address that several branches could answer is ambiguous', () => {
  expect(look('persistence', 'executor')).toEqual(['v1.executor', 'v2.executor']);
});

test('a thread that names no earlier sibling, and a name given twice, are refused', () => {
  expect(() => placesOf(supervisor('r', [a('x', { thread: 'y' }), a('y')]))).toThrow('x: thread y');
  expect(() => placesOf(supervisor('r', [a('x'), a('x')]))).toThrow('x: name is taken');
});

test('exactly the lanes of sends are laid, with ways back for answers, and mailboxes are shared out', () => {
  const specs = [a('p', { mailbox: { depth: 10, onFull: 'fail' } }), a('q'), a('r')];
  const flat = placesOf(supervisor('root', specs));
  const { links, unresolved } = layLanes(
    flat,
    specs,
    [
      { from: 1, actor: 'p', answers: true },
      { from: 2, actor: 'p', answers: false },
      { from: 0, actor: 'q', answers: false },
      { from: 2, actor: 'x', answers: false },
    ],
    { words: 1024 },
  );
  expect(links.map(({ from, to, answersOnly }) => [from, to, answersOnly])).toEqual([
    [1, 0, false],
    [0, 1, false],
    [2, 0, false],
  ]);
  expect(links.filter((l) => l.to === 0).map((l) => [l.depthMax, l.onFull])).toEqual([
    [5, 'fail'],
    [5, 'fail'],
  ]);
  expect(unresolved).toEqual(['r -> x']);
});
