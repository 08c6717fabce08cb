import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { prepareChain } from '#actors/replica/cluster/chain.ts';
import { memberNames, memberSetting, planOf } from '#actors/replica/cluster/plan.ts';
import { readable } from '#actors/replica/cluster/processes.ts';
import { formatProblem } from '#runtime/topology/document.ts';
import { loadTopology } from '#runtime/topology/load.ts';
import { actorsOf } from '#runtime/topology/view.ts';
import { ROOT, temporaryFolder } from '#test/kit/processes.ts';

const settings = {
  folder: '/nowhere',
  brokers: ['a:1', 'b:2'],
  database: 'postgres://u@h/d',
  genesis: { file: '/nowhere/genesis.json', sha256: 'ab'.repeat(32) },
  source: 'synthetic',
  backend: 'noop',
  port: 7001,
  apiPort: 9441,
  set: [],
};

test('the plan of a cluster is six processes that their topologies take, each with ports and folders of its own', async () => {
  const plan = planOf(settings);
  expect(plan.map((one) => one.name)).toEqual([...memberNames]);
  expect(new Set(plan.map((one) => one.apiPort)).size).toBe(6);
  expect(new Set(plan.map((one) => one.dataDir)).size).toBe(6);
  const listens: string[] = [];
  for (const { name, topology, args, dataDir, apiPort } of plan) {
    const set = args.filter((_, at) => args[at - 1] === '--set');
    const loaded = await loadTopology(`config/${topology}.yaml`, { cwd: ROOT, env: {}, set });
    if (!loaded.ok) throw new Error(loaded.error.map(formatProblem).join('\n'));
    const { view } = loaded.value;
    expect(view.node).toEqual({ name, dataDir });
    expect(view.genesis).toMatchObject(settings.genesis);
    expect(view.sections.bus).toMatchObject({ driver: 'kafka', brokers: settings.brokers });
    expect(actorsOf(view, 'api')[0]?.config).toMatchObject({ port: apiPort });
    for (const one of actorsOf(view, 'replica')) {
      const replica = one.config as { name: string; listen: string; peers: object };
      expect(replica.name).toBe(name);
      expect(Object.entries(replica.peers)).toContainEqual([name, replica.listen]);
      listens.push(replica.listen);
    }
  }
  expect(new Set(listens).size).toBe(4);
});

test('a setting of one process reaches that one only and wins; one of nobody is refused by name', () => {
  const setting = memberSetting('v2.api.port=1=2');
  expect(setting).toEqual({ ok: true, value: { member: 'v2', line: 'api.port=1=2' } });
  if (!setting.ok) return;
  const plan = planOf({ ...settings, set: [setting.value] });
  const given = plan.filter(({ args }) => args.includes('api.port=1=2'));
  expect(given.map(({ name, args }) => [name, args.at(-1)])).toEqual([['v2', 'api.port=1=2']]);
  expect(memberSetting('v9.a=b')).toMatchObject({
    ok: false,
    error: expect.stringMatching(/there is no v9; there are v1/),
  });
  for (const text of ['v1', 'v1.a', 'v1=3', '=b', '.a=b']) {
    expect(memberSetting(text)).toMatchObject({
      ok: false,
      error: expect.stringMatching(/takes <name>\.<path>=<value>/),
    });
  }
});

test('each process has its own key in its own folder and no other, and the next start changes none of it', () => {
  const folder = temporaryFolder('cybermesh-chain-');
  try {
    const first = prepareChain(folder.path);
    if (!first.ok) throw new Error(first.error);
    const keysOf = (name: string) => readdirSync(path.join(folder.path, name, 'keys')).sort();
    for (const name of memberNames) {
      const kind = name.startsWith('v') ? 'validator' : name;
      expect(keysOf(name)).toEqual([`${kind}.pem`, `${kind}.pub.pem`]);
      const { mode } = statSync(path.join(folder.path, name, 'keys', `${kind}.pem`));
      expect(mode & 0o777).toBe(0o600);
    }
    const file = readFileSync(first.value.file, 'utf8');
    expect(prepareChain(folder.path)).toEqual(first);
    expect(readFileSync(first.value.file, 'utf8')).toBe(file);
    writeFileSync(first.value.file, file.replace('"cluster"', '"another"'));
    expect(prepareChain(folder.path)).toMatchObject({
      ok: false,
      error: expect.stringContaining('configuration hash is'),
    });
  } finally {
    folder.remove();
  }
});

test('a log line is shown as a person reads it, anything else as it is', () => {
  const line = { level: 'warn', time: 'x', node: 'v1', actor: 'bus', msg: 'away', broker: 'a:1' };
  expect(readable(JSON.stringify(line))).toBe('warn bus: away {"broker":"a:1"}');
  expect(readable(JSON.stringify({ level: 'info', actor: 'api', msg: 'ready' }))).toBe(
    'info api: ready',
  );
  expect(readable('error: no such file')).toBe('error: no such file');
});
