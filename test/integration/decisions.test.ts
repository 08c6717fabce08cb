/** Decisions by hand on a running node, from the command line to the firewall and back. */
import { chmodSync, cpSync, mkdirSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { writeKeyPair } from '#native/crypto.ts';
import { ownPorts, sourceSet } from '#test/kit/local-node.ts';
import { hasPrograms, isRoot, Namespace } from '#test/kit/namespaces.ts';
import { cybermesh, launchCybermesh, type Running, temporaryFolder } from '#test/kit/processes.ts';
import { until } from '#test/kit/system.ts';

const START_MS = 60_000;
const TOPOLOGY = 'config/local.yaml';

type Node = {
  readonly run: Running;
  readonly dataDir: string;
  readonly api: string;
  /** `decisions <verb> <topology> ...` with the settings of the node; the code and what was printed. */
  readonly decisions: (
    verb: string,
    ...args: readonly string[]
  ) => Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>;
  readonly json: <T>(verb: string, ...args: readonly string[]) => Promise<T>;
};

const folder = temporaryFolder('cybermesh-decisions-');
const running: Running[] = [];

const startNode = async (name: string, extra: readonly string[] = []): Promise<Node> => {
  const { set, apiPort } = await ownPorts();
  const dataDir = path.join(folder.path, name);
  const lines = [...set, `node.dataDir=${dataDir}`, ...sourceSet('none'), ...extra];
  const sets = lines.map((one) => `--set=${one}`);
  const run = launchCybermesh(['start', TOPOLOGY, ...sets], { timeoutMs: 240_000 });
  running.push(run);
  const api = `http://127.0.0.1:${apiPort}/api/v1`;
  const isReady = async (): Promise<boolean> => {
    if (run.child.exitCode !== null) throw new Error(run.output());
    return (await fetch(`${api}/ready`).catch(() => undefined))?.status === 200;
  };
  await until(isReady, START_MS, 100);
  const decisions: Node['decisions'] = async (verb, ...args) => {
    const done = await cybermesh(['decisions', verb, TOPOLOGY, ...args, ...sets]);
    return { code: done.code, out: done.stdout, err: done.stderr };
  };
  const json = async <T>(verb: string, ...args: readonly string[]): Promise<T> => {
    const { out, err } = await decisions(verb, ...args, '-o', 'json');
    if (out === '') throw new Error(err);
    return JSON.parse(out) as T;
  };
  return { run, dataDir, api, decisions, json };
};

let node: Node;
beforeAll(async () => {
  node = await startNode('noop');
}, 2 * START_MS);
afterAll(async () => {
  for (const run of running) run.signal('SIGTERM');
  await Promise.all(running.map((run) => run.done));
  folder.remove();
}, START_MS);

type Said = {
  readonly ok: boolean;
  readonly decisions: readonly {
    readonly policyId: string;
    readonly fate: string;
    readonly height: number;
    readonly acks: readonly { readonly result: string; readonly reason: string }[];
  }[];
};
type Listed = { readonly policies: readonly { readonly id: string; readonly status: string }[] };

test('a decision is added, listed, acknowledged, proven by the API, deleted and gone', async () => {
  const target = '198.51.100.7';
  const added = await node.json<Said>('add', '--block', target, '--for=10m', '--reason=by hand');
  const [one] = added.decisions;
  expect(added).toMatchObject({ ok: true, decisions: [{ fate: 'committed', silent: [] }] });
  expect(one!.acks).toMatchObject([{ agent: 'agent-1', result: 'applied', reason: 'noop' }]);
  const listed = await node.json<Listed>('list');
  expect(listed.policies).toMatchObject([{ id: one!.policyId, status: 'applied' }]);
  // The API answers from a validator, which may lie a block behind the agent.
  const shown = await until(
    async () => {
      const response = await fetch(`${node.api}/policies/${one!.policyId}`);
      return response.status === 200 && ((await response.json()) as object);
    },
    START_MS,
    100,
  );
  expect(shown).toMatchObject({ active: true, action: 'drop', targets: [target], anomaly: '' });
  const deleted = await node.json<Said>('delete', target);
  expect(deleted).toMatchObject({ ok: true, decisions: [{ policyId: one!.policyId }] });
  expect(deleted.decisions[0]!.acks).toMatchObject([
    { result: 'applied', reason: 'removed (noop)' },
  ]);
  expect(deleted.decisions[0]!.height).toBeGreaterThan(one!.height);
  expect((await node.json<Listed>('list')).policies).toEqual([]);
  const again = await node.decisions('delete', one!.policyId);
  expect([again.code, again.err]).toEqual([1, expect.stringMatching(/no-such-policy/)]);
});

test('a dry run signs nothing, and what is printed for people says the same', async () => {
  const dry = await node.decisions('add', '--block', '198.51.100.8', '--dry-run');
  expect([dry.code, dry.out]).toEqual([0, expect.stringMatching(/198\.51\.100\.8.*\n1 would be/s)]);
  expect((await node.json<Listed>('list', '--all')).policies).toHaveLength(1);
  const done = await node.decisions('add', '--cidr', '203.0.113.0/24', '--action', 'reject');
  expect(done.out).toMatch(
    /^policy op-\S+: committed at height \d+\n {2}agent-1: applied \(noop\)/,
  );
  const inside = await node.decisions('delete', '203.0.113.9');
  expect(inside.err).toMatch(
    /no-such-policy.*delete by id what holds it: op-\S+ \(203.0.113.0\/24\)/,
  );
  const gone = await node.decisions('delete', '203.0.113.0/24', '--reason', 'mistake');
  expect(gone).toMatchObject({ code: 0, out: expect.stringMatching(/^removal of op-/) });
});

test('what the chain would refuse is refused here, with its code and what to do', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--block', '127.0.0.1'], /never-block: 127.0.0.1\/32 touches 127.0.0.0\/8; /],
    [['--cidr', '198.51.0.0/16'], /prefix-too-wide: .*at least \/24/],
    [['--block', '198.51.100.9', '--for', '400h'], /ttl: .*at most 604800s/],
    [['--block', '198.51.100.9', '--protocol', 'smtp'], /not-enforceable: unknown protocol smtp/],
  ];
  for (const [args, why] of cases) {
    const { code, out, err } = await node.decisions('add', ...args);
    expect([args, code, out]).toEqual([args, 1, '']);
    expect(err).toMatch(why);
  }
});

test('wrong arguments end with usage and code 2', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['add', TOPOLOGY], /say what: --block/],
    [['add', TOPOLOGY, '--block', 'example.org'], /--block: example.org is not an IP address/],
    [['add', TOPOLOGY, '--block', '198.51.100.7', '--for', 'ever'], /--for: expected a duration/],
    [['add', '--block', '198.51.100.7'], /the topology file is missing/],
    [['delete', TOPOLOGY], /a policy id or an address is missing/],
    [['delete', TOPOLOGY, 'x'.repeat(129)], /longer than any policy id/],
    [['delete', TOPOLOGY, 'x', '--wait', '0s'], /--wait: a duration is 100ms/],
    [['delet', TOPOLOGY, 'x'], /did you mean delete/],
    [[], /list, add or delete is missing/],
  ];
  for (const [args, why] of cases) {
    const { code, stderr } = await cybermesh(['decisions', ...args]);
    expect([args, code]).toEqual([args, 2]);
    expect(stderr).toMatch(why);
  }
});

test('a key that is no operator’s, is not there or lies open signs nothing', async () => {
  const add = (key: string) => node.decisions('add', '--block', '198.51.100.10', '--key', key);
  expect((await add('detector.pem')).err).toMatch(/detector.pem is the key of a detector of chain/);
  const foreign = path.join(folder.path, 'foreign.pem');
  writeKeyPair(foreign);
  expect((await add(foreign)).err).toMatch(/foreign.pem is the key of nobody on chain local/);
  expect((await add('absent.pem')).err).toMatch(/absent.pem: there is no such file; give the key/);
  chmodSync(foreign, 0o644);
  expect((await add(foreign)).err).toMatch(/foreign.pem: .*0600.*; give the key/);
  expect((await node.json<Listed>('list')).policies).toEqual([]);
});

test('without a running node an order on an embedded bus is refused with what to do', async () => {
  const alone = path.join(folder.path, 'alone');
  mkdirSync(alone);
  for (const name of ['genesis.json', 'genesis.json.sha256', 'keys']) {
    cpSync(path.join(node.dataDir, name), path.join(alone, name), { recursive: true });
  }
  const words = ['add', TOPOLOGY, '--block', '198.51.100.7', '--set', `node.dataDir=${alone}`];
  const done = await cybermesh(['decisions', ...words]);
  expect([done.code, done.stderr]).toEqual([1, expect.stringMatching(/no node runs .*start it/)]);
});

const hasNft = isRoot && hasPrograms('ip', 'nft');

test.skipIf(!hasNft)(
  'an element stands in the kernel from the acknowledgement of a decision to that of its deletion (needs root and ip and nft)',
  async () => {
    const space = new Namespace(`cm${process.pid}-decide`);
    try {
      const real = await startNode('nft', [
        'enforcer.config.backend=nftables',
        `enforcer.config.netns=${space.name}`,
      ]);
      const ruleset = (): string => space.exec('nft', 'list', 'ruleset');
      const added = await real.json<Said>('add', '--block', '198.51.100.7', '--block', 'fd99::1');
      expect(added).toMatchObject({ ok: true, decisions: [{ acks: [{ result: 'applied' }] }] });
      expect(ruleset()).toMatch(/198\.51\.100\.7 timeout/);
      expect(ruleset()).toMatch(/fd99::1 timeout/);
      const [one] = added.decisions;
      const deleted = await real.json<Said>('delete', one!.policyId);
      expect(deleted).toMatchObject({ ok: true, decisions: [{ acks: [{ reason: 'removed' }] }] });
      expect(ruleset()).not.toMatch(/198\.51\.100\.7|fd99::1/);
      real.run.signal('SIGTERM');
      await real.run.done;
    } finally {
      space.remove();
    }
  },
);
