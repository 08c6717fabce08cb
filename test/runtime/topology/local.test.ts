import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { schemaText } from '#runtime/cli/schema.ts';
import { formatProblem } from '#runtime/topology/document.ts';
import { loadTopology } from '#runtime/topology/load.ts';
import { actorsOf } from '#runtime/topology/view.ts';
import { ROOT } from '#test/kit/processes.ts';

const local = async () => {
  const result = await loadTopology('config/local.yaml', { cwd: ROOT, env: {} });
  if (!result.ok) throw new Error(result.error.map(formatProblem).join('\n'));
  return result.value;
};

test('config/local.yaml is valid and stays within 16 actor threads', async () => {
  const { view } = await local();
  expect(new Set(view.actors.map((one) => one.thread)).size).toBeLessThanOrEqual(16);
});

test('the four validators know each other and listen where the others look', async () => {
  const { view } = await local();
  const replicas = actorsOf(view, 'replica').map(
    (one) => one.config as { name: string; listen: string; peers: Record<string, string> },
  );
  expect(replicas.map((one) => one.name)).toEqual(['v1', 'v2', 'v3', 'v4']);
  for (const { name, listen, peers } of replicas) {
    expect(peers[name]).toBe(listen);
    expect(Object.keys(peers)).toHaveLength(4);
  }
});

test('nothing reaches out of the machine: the enforcer is noop, the API on the loopback', async () => {
  const { view } = await local();
  expect(actorsOf(view, 'enforcer')[0]?.config).toMatchObject({ backend: 'noop' });
  expect(actorsOf(view, 'api')[0]?.config).toMatchObject({ host: '127.0.0.1' });
});

test('config/schema.json is what the schemas of the actors say (node runtime schema --write)', async () => {
  const committed = readFileSync(path.join(ROOT, 'config', 'schema.json'), 'utf8');
  expect(committed).toBe(await schemaText());
});
