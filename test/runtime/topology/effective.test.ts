import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { schemaText } from '#runtime/cli/schema.ts';
import { formatProblem } from '#runtime/topology/document.ts';
import { effectiveDocument, effectiveSettings } from '#runtime/topology/effective.ts';
import { topologySchema } from '#runtime/topology/json-schema.ts';
import { type LoadOptions, loadText, loadTopology } from '#runtime/topology/load.ts';
import { redact } from '#runtime/topology/secrets.ts';

const actorsRoot = new URL('../fixtures-topology/actors/', import.meta.url);
const good = fileURLToPath(new URL('../fixtures-topology/good.yaml', import.meta.url));

const load = async (options: LoadOptions = {}) => {
  const result = await loadTopology(good, { actorsRoot, env: {}, ...options });
  if (!result.ok) throw new Error(result.error.map(formatProblem).join('\n'));
  return result.value;
};

test('each setting in force says whether a flag, a variable, the file or a default decided it', async () => {
  const topology = await load({
    set: ['v1.main.config.timeoutMs=700'],
    env: { CYBERMESH_V2__MAIN__CONFIG__MODE: 'fast' },
  });
  const settings = new Map(effectiveSettings(topology).map((one) => [one.path, one]));
  const origin = (path: string) => settings.get(path);
  expect(origin('v1.main.config.timeoutMs')).toMatchObject({ value: 700, origin: 'flag' });
  expect(origin('v2.main.config.mode')).toMatchObject({
    value: 'fast',
    source: 'CYBERMESH_V2__MAIN__CONFIG__MODE',
  });
  expect(origin('v2.main.config.timeoutMs')).toMatchObject({ value: 1000, origin: 'default' });
  expect(origin('v1.main.config.key')).toMatchObject({ value: 'v1.pem', source: `${good}:21` });
  expect(origin('v1.side.mailbox.depth')).toMatchObject({ value: 128, source: `${good}:11` });
  expect(origin('node.name')).toMatchObject({ value: 'fixture', source: `${good}:1` });
  expect(origin('node.logLevel')).toMatchObject({ value: 'info', origin: 'default' });
  expect(origin('v1.strategy')).toMatchObject({ value: 'rest_for_one', source: `${good}:7` });
});

test('what config show prints is a topology file with the same meaning', async () => {
  const topology = await load();
  const printed = stringify(effectiveDocument(topology), { aliasDuplicateObjects: false });
  const again = await loadText(good, printed, { actorsRoot, env: {} });
  expect(again.ok ? again.value.view : again.error.map(formatProblem)).toEqual(topology.view);
});

test('secrets are masked wherever they are shown', async () => {
  const topology = await load({
    set: ['v1.main.config.password=hunter2', 'database.url=postgres://me:hunter2@db/x'],
  });
  const all = JSON.stringify([effectiveDocument(topology), effectiveSettings(topology)]);
  expect(all).not.toContain('hunter2');
  expect(all).toContain('postgres://me:***@db/x');
  expect(redact({ apiKey: 'a', api_token: 'b', name: 'c', password: '' })).toEqual({
    apiKey: '***',
    api_token: '***',
    name: 'c',
    password: '',
  });
});

test('whatever an actor logs can be shown: errors, bytes, circles', () => {
  const circle: { self?: unknown } = {};
  circle.self = circle;
  const shown = redact({
    fault: new Error('no postgres://me:hunter2@db/x'),
    hash: new Uint8Array([1, 255]),
    circle,
  });
  expect(JSON.stringify(shown)).toContain('"fault":"no postgres://me:***@db/x","hash":"01ff"');
});

test('the JSON Schema knows the sections, the lines and the settings of each actor', async () => {
  const folder = new URL('../fixtures-topology/actors/', import.meta.url);
  await expect(topologySchema(folder)).rejects.toThrow('the actor broken cannot be loaded');
  const schema = JSON.parse(await schemaText()) as { $defs: Record<string, unknown> };
  expect(Object.keys(schema.$defs)).toContain('config.bus');
  expect(JSON.stringify(schema)).toContain('recordBytesMax');
});
