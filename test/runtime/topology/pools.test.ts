import { expect, test } from 'vitest';
import { formatProblem } from '#runtime/topology/document.ts';
import { type LoadOptions, loadText } from '#runtime/topology/load.ts';
import { systemSpec } from '#runtime/topology/system-spec.ts';

const actorsRoot = new URL('../fixtures-topology/actors/', import.meta.url);
const load = (lines: string, node = '', options: LoadOptions = {}) => {
  const content = `node: { name: a${node} }\ngenesis: { create: true }\nsupervise:\n  children:\n${lines}\n`;
  return loadText('t.yaml', content, { actorsRoot, env: {}, ...options });
};
const valid = async (lines: string, node = '', options: LoadOptions = {}) => {
  const result = await load(lines, node, options);
  if (!result.ok) throw new Error(result.error.map(formatProblem).join('\n'));
  return result.value;
};
const messages = async (lines: string, node = ''): Promise<string[]> => {
  const result = await load(lines, node);
  return result.ok ? [] : result.error.map(formatProblem);
};
const genesis = { file: '', sha256: '' };
const CONFIG = 'config: { name: w, key: k }';

test('a pool is one line: so many members in a group, with threads of their own', async () => {
  const topology = await valid(
    `    - { name: w, actor: worker, pool: { size: 3, threads: 2 }, ${CONFIG} }`,
  );
  expect(topology.view.actors.map((one) => [one.path, one.thread])).toEqual([
    ['w.w-1', 'w.w-1'],
    ['w.w-2', 'w.w-2'],
    ['w.w-3', 'w.w-1'],
  ]);
  const [group] = systemSpec(topology, genesis).root.children;
  expect(group).toMatchObject({
    kind: 'supervisor',
    name: 'w',
    pool: { route: 'round-robin' },
    children: [
      { name: 'w-1', actor: 'worker', thread: 'own' },
      { name: 'w-2', actor: 'worker', thread: 'own' },
      { name: 'w-3', actor: 'worker', thread: 'w-1' },
    ],
  });
});

test('its size and its settings have paths like any other', async () => {
  const set = ['w.pool.size=2', 'w.config.timeoutMs=700'];
  const topology = await valid(
    `    - { name: w, actor: worker, pool: { size: 1, route: consistent-hash, by: flow }, ${CONFIG} }`,
    '',
    { set },
  );
  expect(topology.view.actors.map((one) => one.config)).toMatchObject([
    { timeoutMs: 700 },
    { timeoutMs: 700 },
  ]);
  expect(systemSpec(topology, genesis).root.children[0]).toMatchObject({
    pool: { route: 'consistent-hash', by: 'flow' },
  });
});

test('what a pool cannot be is said with its place', async () => {
  const line = (pool: string, rest = ''): string =>
    `    - { name: w, actor: worker, ${CONFIG}${rest}, pool: ${pool} }`;
  const cases = [
    [line('{ size: 2, route: consistent-hash }'), /w\.pool: consistent-hash needs by/],
    [line('{ size: 2, by: flow }'), /w\.pool: by is for route: consistent-hash only/],
    [line('{ size: 2, threads: 3 }'), /w\.pool: 3 threads for 2 members/],
    [line('{ size: 65 }'), /w\.pool\.size/],
    [line('{ size: 0 }'), /w\.pool\.size/],
    [line('{ size: 2, root: broadcast }'), /w\.pool\.root: unknown key/],
    [line('{ size: 2 }', ', thread: other'), /w\.thread: a pool has threads of its own/],
    [
      `${line('{ size: 40 }')}\n    - { name: v, actor: worker, ${CONFIG}, pool: { size: 30 } }`,
      /v: 70 threads; a node has at most 64/,
    ],
    [
      `${line('{ size: 2 }')}\n    - { name: v, actor: worker, ${CONFIG}, thread: w }`,
      /v\.thread: w is a pool/,
    ],
  ] as const;
  for (const [lines, said] of cases) expect((await messages(lines)).join('\n')).toMatch(said);
});

test('stash, passivation and phase are settings of a line, the phases a setting of the node', async () => {
  const line = `    - { name: w, actor: worker, ${CONFIG}, passivateMs: 500, phase: upload, mailbox: { stash: 7 } }`;
  const phases = ', shutdown: [{ name: intake, deadlineMs: 1 }, { name: upload, deadlineMs: 2 }]';
  const spec = systemSpec(await valid(line, phases), genesis);
  expect(spec.root.children[0]).toMatchObject({
    passivateMs: 500,
    phase: 'upload',
    mailbox: { stash: 7, depth: 4096 },
  });
  expect(spec.shutdown).toEqual([
    { name: 'intake', deadlineMs: 1 },
    { name: 'upload', deadlineMs: 2 },
  ]);
  expect(await messages(line)).toEqual([
    expect.stringMatching(/w\.phase: node\.shutdown has no phase upload/),
  ]);
  const plain = `    - { name: w, actor: worker, ${CONFIG} }`;
  expect(await messages(plain, phases)).toEqual([
    expect.stringMatching(/w\.phase: node\.shutdown has no phase flows, the default/),
  ]);
  expect(systemSpec(await valid(plain), genesis).shutdown?.map((one) => one.name)).toEqual([
    'sources',
    'flows',
    'sinks',
  ]);
});
