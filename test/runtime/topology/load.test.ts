import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { formatProblem } from '#runtime/topology/document.ts';
import { type LoadOptions, loadText, loadTopology } from '#runtime/topology/load.ts';
import { systemSpec } from '#runtime/topology/system-spec.ts';
import { actorsOf } from '#runtime/topology/view.ts';

const actorsRoot = new URL('../fixtures-topology/actors/', import.meta.url);
const good = fileURLToPath(new URL('../fixtures-topology/good.yaml', import.meta.url));

const valid = async (options: LoadOptions = {}) => {
  const result = await loadTopology(good, { actorsRoot, env: {}, ...options });
  if (!result.ok) throw new Error(result.error.map(formatProblem).join('\n'));
  return result.value;
};

const configs = async (options: LoadOptions = {}): Promise<Record<string, unknown>> => {
  const topology = await valid(options);
  return Object.fromEntries(topology.view.actors.map((one) => [one.path, one.config]));
};

/** Messages for a topology whose tree has these lines. */
const messages = async (lines: string, options: LoadOptions = {}): Promise<string[]> => {
  const content = `genesis: { create: true }\nsupervise:\n  children:\n${lines}\n`;
  const result = await loadText('t.yaml', content, { actorsRoot, env: {}, ...options });
  return result.ok ? [] : result.error.map(formatProblem);
};

test('a template is expanded once for each line that uses it', async () => {
  const { view } = await valid();
  expect(view.actors.map((one) => one.path)).toEqual([
    'bus',
    'detection.telemetry',
    'v1.main',
    'v1.side',
    'v2.main',
    'v2.side',
  ]);
  expect(view.actors.map((one) => one.thread)).toEqual([
    'bus',
    'detection.telemetry',
    'v1.main',
    'v1.main',
    'v2.main',
    'v2.main',
  ]);
});

test('$name is the value given with the line, $self its name, and a template may have its own', async () => {
  const { view } = await valid();
  const [v1, , v2] = actorsOf(view, 'worker');
  expect(v1?.config).toMatchObject({ name: 'v1', key: 'v1.pem', peers: { a: 'one', b: 'two' } });
  expect(v2?.config).toMatchObject({ name: 'v2', key: 'v2.pem', peers: { a: 'one', b: 'two' } });
});

test('settings that the file leaves out are those of the actor', async () => {
  const all = await configs();
  expect(all['v1.main']).toMatchObject({ timeoutMs: 1000, mode: 'careful' });
  expect(all['detection.telemetry']).toMatchObject({ batchMax: 1000 });
});

test('a flag wins over a variable, a variable over the file, the file over the default', async () => {
  const name = 'detection.telemetry.config.batchMax';
  const env = { CYBERMESH_DETECTION__TELEMETRY__CONFIG__BATCH_MAX: '20' };
  expect((await configs({ env }))['detection.telemetry']).toMatchObject({ batchMax: 20 });
  const both = await configs({ env, set: [`${name}=30`] });
  expect(both['detection.telemetry']).toMatchObject({ batchMax: 30 });
});

test('names in variables match whatever the case of a key is', async () => {
  const all = await configs({
    env: { CYBERMESH_V1__SIDE__CONFIG__LIMITS__BLOCKBYTES: '7' },
  });
  expect(all['v1.side']).toMatchObject({ limits: { blockBytes: 7 } });
});

test('a setting of one branch leaves the other branches alone', async () => {
  const all = await configs({ set: ['v1.main.config.peers.a=changed'] });
  expect(all['v1.main']).toMatchObject({ peers: { a: 'changed', b: 'two' } });
  expect(all['v2.main']).toMatchObject({ peers: { a: 'one', b: 'two' } });
});

test('text that looks like a number stays text where text is expected', async () => {
  const all = await configs({ set: ['v1.main.config.name=007', 'v1.main.config.timeoutMs=700'] });
  expect(all['v1.main']).toMatchObject({ name: '007', timeoutMs: 700 });
});

test('a section belongs to the actor that reads it, and bus.config names the actor', async () => {
  const section = await configs({ set: ['bus.retentionMs=5'] });
  expect(section.bus).toEqual({ driver: 'embedded', retentionMs: 5 });
  const line = await configs({ set: ['bus.config.retentionMs=6'] });
  expect(line.bus).toEqual({ driver: 'embedded', retentionMs: 6 });
});

test('CYBERMESH_DATA is reserved for the data folder', async () => {
  await expect(configs({ env: { CYBERMESH_DATA: '/anywhere' } })).resolves.toBeDefined();
});

test('a variable that names nothing is an error', async () => {
  const env = { CYBERMESH_V1__MAIN__CONFIG__TIMEOUTS: '1' };
  const result = await loadTopology(good, { actorsRoot, env });
  expect(result.ok ? [] : result.error.map(formatProblem)).toEqual([
    'CYBERMESH_V1__MAIN__CONFIG__TIMEOUTS V1.MAIN.CONFIG.TIMEOUTS: unknown key; did you mean timeoutMs (milliseconds)?',
  ]);
});

test('the data folder counts from the working directory, the genesis file from the data folder', async () => {
  const { view } = await valid({ cwd: '/somewhere' });
  expect(view.node.dataDir).toBe(path.resolve('/somewhere/fixture-data'));
  expect(view.genesis.file).toBe(path.resolve('/somewhere/fixture-data/genesis.json'));
});

test('the specification of the system carries what the lines say', async () => {
  const topology = await valid();
  const genesis = { file: '/g.json', sha256: 'ab' };
  const spec = systemSpec(topology, genesis);
  expect(spec.node).toEqual({
    name: 'fixture',
    dataDir: topology.view.node.dataDir,
    genesis,
    database: { url: 'embedded' },
  });
  expect(spec.root).toMatchObject({ kind: 'supervisor', name: 'root', strategy: 'one_for_one' });
  expect(spec.root.children[2]).toMatchObject({
    kind: 'supervisor',
    name: 'v1',
    strategy: 'rest_for_one',
    children: [
      { kind: 'actor', name: 'main', actor: 'worker', thread: 'own', restart: 'permanent' },
      { name: 'side', thread: 'main', mailbox: { depth: 128, onFull: 'drop-new' } },
    ],
  });
  expect(structuredClone(spec)).toEqual(spec);
});

test('every error is reported at once, in the order of the file', async () => {
  const found = await messages(`    - { name: a, actor: wroker }
    - { name: b, actor: worker, thread: c, config: { timeoutMs: 1s, mode: fasst } }
    - { name: b, actor: source, config: { source: { kind: pcap } } }
    - { name: d, use: nothing }`);
  expect(found).toEqual([
    't.yaml:4:25 a.actor: unknown actor wroker; did you mean worker?',
    't.yaml:5:41 b.thread: no sibling is called c; known here: a, own',
    't.yaml:5:65 b.config.timeoutMs: expected a number of milliseconds, got "1s"; write 1000',
    't.yaml:5:75 b.config.mode: expected one of fast, careful, got "fasst"; did you mean fast?',
    't.yaml:6:15 b: a second child named b; the first is in line 5',
    't.yaml:6:51 b.config.source.path: is required: a text (capture file)',
    't.yaml:7:23 d.use: unknown template nothing',
  ]);
});

test('a key with the wrong unit leads to the right one', async () => {
  expect(await messages('    - { name: a, actor: worker, config: { timeoutS: 1 } }')).toEqual([
    't.yaml:4:43 a.config.timeoutS: unknown key; did you mean timeoutMs (milliseconds)?',
  ]);
});

test('a value out of range is shown with its meaning', async () => {
  const [message] = await messages('    - { name: a, actor: worker, config: { timeoutMs: 1 } }');
  expect(message).toContain('t.yaml:4:54 a.config.timeoutMs: ');
  expect(message).toContain('got 1 (view timeout, ms, 500..30000)');
});

test('a name of the first CyberMesh gets a sentence', async () => {
  const result = await loadText('t.yaml', 'QUORUM_SIZE: 3\nsupervise: { children: [] }\n', {
    actorsRoot,
    env: {},
  });
  const all = result.ok ? [] : result.error.map(formatProblem);
  expect(all[0]).toContain('t.yaml:1:1 QUORUM_SIZE: unknown key: the quorum is not a setting');
});

test('a companion names an earlier sibling that has a thread of its own', async () => {
  const found = await messages(`    - { name: a, actor: worker, thread: c }
    - { name: b, actor: worker, thread: a }
    - { name: c, actor: worker }`);
  expect(found).toEqual([
    't.yaml:4:41 a.thread: c must stand before a in the list',
    't.yaml:5:41 b.thread: a has no thread of its own; write c',
  ]);
});

test('more threads than a node may have are refused', async () => {
  const lines = Array.from({ length: 65 }, (_, k) => `    - { name: w${k}, actor: worker }`);
  expect(await messages(lines.join('\n'))).toEqual([
    't.yaml:68:7 w64: 65 threads; a node has at most 64 (share some)',
  ]);
});

test('an actor that cannot be loaded is reported with the reason', async () => {
  expect(await messages('    - { name: a, actor: broken }')).toEqual([
    't.yaml:4:25 a.actor: the actor broken cannot be loaded: no such library',
  ]);
});

test("an actor's own check sees the whole topology and its message gets a place", async () => {
  const lines = '    - { name: a, actor: worker, config: { limits: { blockBytes: 9999 } } }';
  expect(await messages(lines)).toEqual([
    't.yaml:4:65 a.config.limits.blockBytes: 9999 is more than the pool holds (limits.poolBytes 4096)',
  ]);
  const flag = ['a.config.limits.blockBytes=9999'];
  expect(await messages('    - { name: a, actor: worker }', { set: flag })).toEqual([
    '--set a.config.limits.blockBytes: 9999 is more than the pool holds (limits.poolBytes 4096)',
  ]);
});

test('an unknown reference and an unused value are errors', async () => {
  const content = `genesis: { create: true }
templates: { t: { children: [ { name: m, actor: worker, config: { key: $kee } } ] } }
supervise: { children: [ { name: a, use: t, with: { key: x } } ] }
`;
  const result = await loadText('t.yaml', content, { actorsRoot, env: {} });
  expect(result.ok ? [] : result.error.map(formatProblem)).toEqual([
    't.yaml:2:72 a.m.config.key: unknown reference $kee; did you mean $key?',
    't.yaml:3:53 a.with.key: the template t has no $key; did you mean kee?',
  ]);
});

test('a genesis is either made or given with its pinned hash', async () => {
  const content =
    'genesis: { file: g.json }\nsupervise: { children: [ { name: a, actor: worker } ] }\n';
  const result = await loadText('t.yaml', content, { actorsRoot, env: {} });
  expect(result.ok ? [] : result.error.map(formatProblem)).toEqual([
    't.yaml:1:10 genesis: needs create: true, or file and sha256',
  ]);
});

test('broken YAML is reported with its line, a missing file by name', async () => {
  const result = await loadText('t.yaml', 'node: {\nbus: [', { actorsRoot });
  expect(result.ok).toBe(false);
  if (!result.ok) expect(formatProblem(result.error[0]!)).toMatch(/^t\.yaml:\d+:\d+ /);
  const missing = await loadTopology('/no/such.yaml', { actorsRoot });
  expect(missing.ok ? [] : missing.error.map(formatProblem)).toEqual([
    '/no/such.yaml (document): there is no such file',
  ]);
});
