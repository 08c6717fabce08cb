import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { campaign } from '#test/kit/campaign.ts';
import { ownPorts } from '#test/kit/local-node.ts';
import {
  cybermesh,
  type Finished,
  launchCybermesh,
  ROOT,
  type Running,
  temporaryFolder,
} from '#test/kit/processes.ts';

const BOOT_MS = 90_000;
const made = temporaryFolder('cybermesh-bad-');
const at = (name: string): string => path.join(made.path, name);
const topology = path.join(ROOT, 'config/local.yaml');

/** The node that holds a folder and ports while others are started beside it. */
let first: Running;
let firstSets: readonly string[] = [];
let apiPort = 0;

const asOptions = (sets: readonly string[]): string[] => sets.map((one) => `--set=${one}`);

beforeAll(async () => {
  const ports = await ownPorts();
  apiPort = ports.apiPort;
  firstSets = [...ports.set, `node.dataDir=${at('first')}`];
  const line = ['start', topology, '--source=none', ...asOptions(firstSets)];
  first = launchCybermesh(line, { timeoutMs: 300_000 });
  await first.saw(/the API listens/, BOOT_MS);
}, BOOT_MS);
afterAll(async () => {
  first.signal('SIGINT');
  expect((await first.done).code).toBe(0);
  made.remove();
}, 30_000);

/** Starts one more node, with ports of its own but for `sets`. */
const another = async (folder: string, sets: readonly string[], source = 'none') => {
  const ports = await ownPorts();
  const options = asOptions([...ports.set, `node.dataDir=${at(folder)}`, ...sets]);
  return cybermesh(['start', topology, `--source=${source}`, ...options, '--for=60s'], {
    timeoutMs: BOOT_MS,
  });
};

/** What it says to a person: the last line. */
const verdict = ({ stderr }: Finished): string => stderr.trim().split('\n').at(-1) ?? '';

test('an unknown key and a wrong unit in a topology are both named at once, each with its line and column', async () => {
  const text = readFileSync(topology, 'utf8')
    .replace('backend: noop', 'backnd: noop')
    .replace('periodS: 10', 'periodS: 10s');
  const file = at('bad.yaml');
  writeFileSync(file, text);
  const place = (word: string): string => {
    const before = text.slice(0, text.indexOf(word)).split('\n');
    return `${before.length}:${before.at(-1)!.length + 1}`;
  };
  const done = await cybermesh(['start', file]);
  expect(done.code).toBe(78);
  expect(done.stderr).toContain(
    `${file}:${place('backnd')} enforcer.config.backnd: unknown key; did you mean backend?`,
  );
  expect(done.stderr).toContain(`${file}:${place('10s')} supervise.intensity.periodS: expected`);
  expect(verdict(done)).toBe('2 errors in the configuration; nothing was started');
});

test('a source that is missing, no capture or no table of flows is refused before anything starts', async () => {
  writeFileSync(at('noise.pcap'), 'neither pcap nor pcapng');
  writeFileSync(at('wrong.csv'), 'a,b,c\n1,2,3\n');
  const refusals = {
    'pcap:missing.pcap': /missing\.pcap does not exist/,
    'pcap:noise.pcap': /noise\.pcap is not a capture/,
    'flows:wrong.csv': /wrong\.csv is not a table of flows: .*missing: src_port/,
  };
  for (const [source, reason] of Object.entries(refusals)) {
    const [kind, name] = source.split(':');
    const done = await cybermesh(['start', topology, `--source=${kind}:${at(name!)}`]);
    expect([done.code, reason.test(done.stderr)], done.stderr).toEqual([78, true]);
  }
});

test('of a truncated capture everything before the cut is used, and the place of the cut is told', async () => {
  const whole = campaign(20);
  const file = at('cut.pcap');
  writeFileSync(file, whole.subarray(0, whole.length - 7));
  const done = await another('truncated', [], `pcap:${file}`);
  expect(done.code, done.stderr).toBe(0);
  const packets = Number(/"packets":(\d+)/.exec(done.stdout)?.[1]);
  // Two open ports of four packets, 78 closed ones of two: without the very last packet.
  expect(packets).toBe(20 * (2 * 4 + 78 * 2) - 1);
  expect(done.stdout).toContain(`cut.pcap is truncated after packet ${packets}`);
  expect(done.stdout).toMatch(/"published":(?!0)\d+|published[\s\S]*?\n\s+(\d+\s+){3}[1-9]/);
});

test('a second process on the same data folder is refused by the name of the first', async () => {
  const done = await another('first', []);
  expect(done.code).toBe(1);
  expect(verdict(done)).toContain(`${at('first')} is in use by process `);
});

test('a port that is in use is named, of the API as of a validator', async () => {
  const api = await another('api', [`api.config.port=${apiPort}`]);
  expect([api.code, verdict(api)]).toEqual([
    1,
    expect.stringContaining(
      `api: the API cannot listen on 127.0.0.1:${apiPort}: the port is in use`,
    ),
  ]);
  const taken = firstSets.find((one) => one.startsWith('v3.replica.config.listen='))!;
  const peer = await another('peer', [taken]);
  const [, address] = taken.split('=');
  expect([peer.code, verdict(peer)]).toEqual([
    1,
    expect.stringContaining(`v3.replica: the address ${address} is in use by another program`),
  ]);
  expect(first.child.exitCode).toBe(null);
});
