import { expect, test } from 'vitest';
import { formatProblem } from '#runtime/topology/document.ts';
import { loadText, type Topology } from '#runtime/topology/load.ts';
import { systemSpec } from '#runtime/topology/system-spec.ts';

const actorsRoot = new URL('../fixtures-topology/actors/', import.meta.url);
const load = (head: string, lines: string) =>
  loadText('t.yaml', `genesis: { create: true }\n${head}supervise:\n${lines}`, {
    actorsRoot,
    env: {},
  });
const topology = async (head: string, lines: string): Promise<Topology> => {
  const result = await load(head, lines);
  if (!result.ok) throw new Error(result.error.map(formatProblem).join('\n'));
  return result.value;
};
const problems = async (lines: string): Promise<string[]> => {
  const result = await load('', lines);
  return result.ok ? [] : result.error.map(formatProblem);
};
const warnings = async (lines: string): Promise<string[]> =>
  (await topology('', lines)).warnings.map(formatProblem);

const spec = (given: Topology) => systemSpec(given, { file: '', sha256: '' });

test('a thread has limits and the node a spare one unless the file says otherwise', async () => {
  const lines = '  children:\n    - { name: bus, actor: bus }\n';
  expect(spec(await topology('', lines))).toMatchObject({
    spares: 1,
    memoryMb: 2048,
    offHeapMb: 1024,
    silentMs: 10_000,
    codeCache: expect.stringMatching(/data\/code-cache$/),
  });
  const head = 'node: { threads: { spares: 0, heapMb: 64, offHeapMb: 32, silentMs: 3000 } }\n';
  expect(spec(await topology(head, lines))).toMatchObject({
    spares: 0,
    memoryMb: 64,
    offHeapMb: 32,
    silentMs: 3000,
  });
});

test('strategy, back-off, auto-shutdown and restart of a group reach its supervisor', async () => {
  const lines = `  autoShutdown: never
  backoff: { firstMs: 10, mostMs: 20, jitter: 0, resetMs: 30 }
  children:
    - name: group
      restart: permanent
      significant: true
      autoShutdown: all_significant
      children:
        - { name: bus, actor: bus, restart: transient, significant: true }
`;
  const { root } = spec(await topology('', lines));
  expect(root).toMatchObject({
    autoShutdown: 'never',
    backoff: { firstMs: 10, mostMs: 20, jitter: 0, resetMs: 30 },
  });
  expect(root.children[0]).toMatchObject({
    restart: 'permanent',
    significant: true,
    autoShutdown: 'all_significant',
    backoff: { firstMs: 100, mostMs: 5000, jitter: 0.25, resetMs: 30_000 },
  });
});

test('an actor that is significant and permanent is refused with its remedy', async () => {
  const line = '  children:\n    - { name: bus, actor: bus, significant: true }\n';
  expect(await problems(line)).toEqual([
    't.yaml:4:45 bus.significant: a permanent actor always comes back; write restart: transient or temporary',
  ]);
});

const level = (restarts: number, depth: number): string =>
  `${'  '.repeat(2 * depth + 1)}intensity: { restarts: ${restarts}, periodS: 10 }\n`;
const three = (outer: number, middle: number, inner: number): string =>
  `${level(outer, 0)}  children:
    - name: a
${level(middle, 1)}      children:
        - name: b
${level(inner, 2)}          children:
            - { name: bus, actor: bus }
`;

test('intensities of nested groups multiply: a warning says to what, and where', async () => {
  const [only, ...more] = await warnings(three(5, 5, 5));
  expect(more).toEqual([]);
  expect(only).toMatch(/^t\.yaml:9:\d+ a\.b\.intensity\.restarts: intensities multiply/);
  expect(only).toContain('restarted 215 times');
  expect(only).toContain('6 x 6 x 6 crashes over supervise, a, a.b');
});

test('the limit of the warning: 120 restarts are silent, one supervisor alone is, too', async () => {
  expect(await warnings(three(10, 10, 0))).toEqual([]);
  expect(await warnings(three(10, 10, 1))).toHaveLength(1);
  const single = `${level(1000, 0)}  children:\n    - { name: bus, actor: bus }\n`;
  expect(await warnings(single)).toEqual([]);
});

test('a significant child of a supervisor that never shuts down is a warning', async () => {
  const lines = `  autoShutdown: never
  children:
    - { name: bus, actor: bus, restart: transient, significant: true }
`;
  const [only] = await warnings(lines);
  expect(only).toMatch(
    /^t\.yaml:5:\d+ bus\.significant: has no effect: supervise has autoShutdown/,
  );
});
