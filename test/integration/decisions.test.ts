/** Decisions by hand on a running node, from the command line to the firewall and back. */
import { chmodSync, cpSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { commandBus } from '#actors/bus/command-access.ts';
import { give } from '#actors/enforcer/decisions/ordering.ts';
import { removal } from '#actors/enforcer/decisions/rule.ts';
import { freshStamp, operatorOf } from '#actors/enforcer/decisions/signing.ts';
import { writeKeyPair } from '#native/crypto.ts';
import type { CliIo } from '#runtime/cli/command.ts';
import { loadTopology } from '#runtime/topology/load.ts';
import { commandLine, type Printed } from '#test/kit/command-line.ts';
import { isRoot, Namespace } from '#test/kit/namespaces.ts';
import { type OperatedNode, operatedNode, PATIENCE_MS, TOPOLOGY } from '#test/kit/operated-node.ts';
import { cybermesh, ROOT, temporaryFolder } from '#test/kit/processes.ts';
import { hasPrograms } from '#test/kit/programs.ts';
import { until } from '#test/kit/system.ts';

/** A machine that is busy with something else makes nobody fail. */
const WAIT: { readonly [verb: string]: readonly string[] } = {
  list: [],
  add: ['--wait', '2m'],
  delete: ['--wait', '2m'],
  approve: [],
};

const folder = temporaryFolder('cybermesh-decisions-');
let node: OperatedNode;
beforeAll(async () => {
  // One policy in force is as much as its agent takes without asking.
  node = await operatedNode(path.join(folder.path, 'noop'), ['enforcer.config.activeMax=1']);
}, 2 * PATIENCE_MS);
afterAll(async () => {
  await node?.stop();
  folder.remove();
}, PATIENCE_MS);

const decide = (verb: string, ...args: readonly string[]): Promise<Printed> =>
  commandLine('decisions', verb, TOPOLOGY, ...args, ...WAIT[verb]!, ...node.sets);
const decided = <T>(verb: string, ...args: readonly string[]): Promise<T> =>
  node.json<T>('decisions', verb, TOPOLOGY, ...args, ...WAIT[verb]!);

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
  const added = await decided<Said>('add', '--block', target, '--for=10m', '--reason=by hand');
  const [one] = added.decisions;
  expect(added).toMatchObject({ ok: true, decisions: [{ fate: 'committed', silent: [] }] });
  expect(one!.acks).toMatchObject([{ agent: 'agent-1', result: 'applied', reason: 'noop' }]);
  const listed = await decided<Listed>('list');
  expect(listed.policies).toMatchObject([{ id: one!.policyId, status: 'applied' }]);
  // The API answers from a validator, which may lie a block behind the agent.
  const shown = await until(
    async () => {
      const response = await fetch(`${node.api}/policies/${one!.policyId}`);
      return response.status === 200 && ((await response.json()) as object);
    },
    PATIENCE_MS,
    100,
  );
  expect(shown).toMatchObject({ active: true, action: 'drop', targets: [target], anomaly: '' });
  const deleted = await decided<Said>('delete', target);
  expect(deleted).toMatchObject({ ok: true, decisions: [{ policyId: one!.policyId }] });
  expect(deleted.decisions[0]!.acks).toMatchObject([
    { result: 'applied', reason: 'removed (noop)' },
  ]);
  expect(deleted.decisions[0]!.height).toBeGreaterThan(one!.height);
  expect((await decided<Listed>('list')).policies).toEqual([]);
  const again = await decide('delete', one!.policyId);
  expect([again.code, again.err]).toEqual([1, expect.stringMatching(/no-such-policy/)]);
});

test('a dry run signs nothing, and what is printed for people says the same', async () => {
  const dry = await decide('add', '--block', '198.51.100.8', '--dry-run');
  expect([dry.code, dry.out]).toEqual([0, expect.stringMatching(/198\.51\.100\.8.*\n1 would be/s)]);
  expect((await decided<Listed>('list', '--all')).policies).toHaveLength(1);
  const done = await decide('add', '--cidr', '203.0.113.0/24', '--action', 'reject');
  expect(done.out).toMatch(
    /^policy op-\S+: committed at height \d+\n {2}agent-1: applied \(noop\)/,
  );
  const inside = await decide('delete', '203.0.113.9');
  expect(inside.err).toMatch(
    /no-such-policy.*delete by id what holds it: op-\S+ \(203.0.113.0\/24\)/,
  );
  const gone = await decide('delete', '203.0.113.0/24', '--reason', 'mistake');
  expect(gone).toMatchObject({ code: 0, out: expect.stringMatching(/^removal of op-/) });
});

test('what only the chain can refuse comes back with its code', async () => {
  const set = node.sets.map((one) => one.replace('--set=', ''));
  const loaded = await loadTopology(path.join(ROOT, TOPOLOGY), { set });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  const { view } = loaded.value;
  const [bus, operator] = [await commandBus(view, () => {}), operatorOf(view, 'operator.pem')];
  if (!bus.ok || !operator.ok) throw new Error('no bus or no operator');
  // As somebody who did not look first, or whom another operator has outrun.
  const stamp = { ...freshStamp(), policyId: 'op-of-nobody', ttlS: 60 };
  const rule = removal({ ips: ['198.51.100.30'] }, stamp);
  if (!rule.ok) throw new Error(rule.error);
  let out = '';
  const say = (text: string): void => {
    out += text;
  };
  const io = { out: say, err: say, json: false } as CliIo;
  expect(await give(io, bus.value, operator.value, [rule.value], PATIENCE_MS)).toBe(1);
  expect(out).toMatch(/^removal of op-of-nobody: refused by \d of 4: no-such-policy/);
  await bus.value.close();
});

test('what is beyond the cap of the agent is committed, held, and in force once it is approved', async () => {
  const [one, two] = ['198.51.100.21', '198.51.100.22'];
  expect((await decide('add', '--block', one!)).code).toBe(0);
  const second = await decide('add', '--block', two!);
  expect([second.code, second.out]).toEqual([
    1,
    expect.stringMatching(/committed at height \d+\n {2}agent-1: failed \(too-many-active: 1 of/),
  ]);
  expect((await decide('list')).out).toMatch(/held {5}drop {7}198\.51\.100\.22 .*too-many-active/);
  const [id] = /op-[\da-f-]{36}/.exec(second.out) ?? [];
  const foreign = await decide('approve', 'op-nobody');
  expect([foreign.code, foreign.err]).toEqual([1, expect.stringMatching(/holds op-nobody/)]);
  const approved = await decide('approve', id!, '--reason', 'looked at it');
  expect([approved.code, approved.out]).toEqual([
    0,
    expect.stringMatching(/: approved \(was held/),
  ]);
  const inForce = async (): Promise<boolean> => {
    const { policies } = await decided<Listed>('list');
    return policies.length === 2 && policies.every(({ status }) => status === 'applied');
  };
  await until(inForce, PATIENCE_MS, 500);
  expect((await decide('delete', one!, two!)).code).toBe(0);
});

test('what the chain would refuse is refused here, with its code and what to do', async () => {
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [['--block', '127.0.0.1'], /never-block: 127.0.0.1\/32 touches 127.0.0.0\/8; /],
    [['--cidr', '198.51.0.0/16'], /prefix-too-wide: .*at least \/24/],
    [['--block', '198.51.100.9', '--for', '400h'], /ttl: .*at most 604800s/],
    [['--block', '198.51.100.9', '--protocol', 'smtp'], /not-enforceable: unknown protocol smtp/],
  ];
  for (const [args, why] of cases) {
    const { code, out, err } = await decide('add', ...args);
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
    [['approve', TOPOLOGY], /say which: policy ids, or --all/],
    [['delete', TOPOLOGY], /a policy id or an address is missing/],
    [['delete', TOPOLOGY, 'x'.repeat(129)], /longer than any policy id/],
    [['delete', TOPOLOGY, 'x', '--wait', '0s'], /--wait: a duration is 100ms/],
    [['delet', TOPOLOGY, 'x'], /did you mean delete/],
    [[], /list, add, delete or approve is missing/],
  ];
  for (const [args, why] of cases) {
    const { code, err } = await commandLine('decisions', ...args);
    expect([args, code]).toEqual([args, 2]);
    expect(err).toMatch(why);
  }
});

test('a key that is no operator’s, is not there or lies open signs nothing', async () => {
  const add = (key: string) => decide('add', '--block', '198.51.100.10', '--key', key);
  expect((await add('detector.pem')).err).toMatch(/detector.pem is the key of a detector of chain/);
  const foreign = path.join(folder.path, 'foreign.pem');
  writeKeyPair(foreign);
  expect((await add(foreign)).err).toMatch(/foreign.pem is the key of nobody on chain local/);
  expect((await add('absent.pem')).err).toMatch(/absent.pem: there is no such file; give the key/);
  chmodSync(foreign, 0o644);
  expect((await add(foreign)).err).toMatch(/foreign.pem: .*0600.*; give the key/);
  expect((await decided<Listed>('list')).policies).toEqual([]);
});

test('without a running node an order on an embedded bus is refused with what to do', async () => {
  const alone = path.join(folder.path, 'alone');
  mkdirSync(alone);
  for (const name of ['genesis.json', 'genesis.json.sha256', 'keys']) {
    cpSync(path.join(node.dataDir, name), path.join(alone, name), { recursive: true });
  }
  const words = ['add', TOPOLOGY, '--block', '198.51.100.7', '--set', `node.dataDir=${alone}`];
  const done = await commandLine('decisions', ...words);
  expect([done.code, done.err]).toEqual([1, expect.stringMatching(/no node runs .*start it/)]);
});

const hasNft = isRoot && hasPrograms('ip', 'nft');

test.skipIf(!hasNft)(
  'an element stands in the kernel from the acknowledgement of a decision to that of its deletion, but for the time of the kill switch (needs root and ip and nft)',
  async () => {
    const space = new Namespace(`cm${process.pid}-decide`);
    try {
      const token = path.join(folder.path, 'operator.token');
      writeFileSync(token, 'x'.repeat(40), { mode: 0o600 });
      const real = await operatedNode(path.join(folder.path, 'nft'), [
        'enforcer.config.backend=nftables',
        `enforcer.config.netns=${space.name}`,
        `api.operatorTokenFile=${token}`,
      ]);
      const ruleset = (): string => space.exec('nft', 'list', 'ruleset');
      const give = (verb: string, ...args: readonly string[]): Promise<Said> =>
        real.json<Said>('decisions', verb, TOPOLOGY, ...args, ...WAIT[verb]!);
      const added = await give('add', '--block', '198.51.100.7', '--block', 'fd99::1');
      expect(added).toMatchObject({ ok: true, decisions: [{ acks: [{ result: 'applied' }] }] });
      expect(ruleset()).toMatch(/198\.51\.100\.7 timeout/);
      expect(ruleset()).toMatch(/fd99::1 timeout/);
      const brake = async (method: string, body?: object): Promise<unknown> => {
        const headers = {
          authorization: `Bearer ${'x'.repeat(40)}`,
          ...(body !== undefined && { 'content-type': 'application/json' }),
        };
        const init = { method, headers, body: body === undefined ? null : JSON.stringify(body) };
        return (await fetch(`${real.api}/control/kill-switch`, init)).json();
      };
      const pulled = await brake('PUT', { forS: 600, reason: 'lockout' });
      expect(pulled).toMatchObject({ engaged: true, code: 'panic', backend: 'nftables' });
      expect(ruleset()).toBe('');
      const status = await cybermesh(['status', '--data', real.dataDir, '-o', 'json']);
      const { brakes } = JSON.parse(status.stdout) as { readonly brakes: object };
      expect(brakes).toMatchObject({ enforcer: expect.stringMatching(/lockout/) });
      const metrics = await (await fetch(`${real.api}/metrics`)).text();
      expect(metrics).toMatch(/^cybermesh_enforcer_braked\{[^}]*\} 1$/m);
      expect(await brake('DELETE')).toMatchObject({ engaged: false, untilMs: null });
      await until(() => /198\.51\.100\.7 timeout/.test(ruleset()), PATIENCE_MS, 100);
      const [one] = added.decisions;
      const deleted = await give('delete', one!.policyId);
      expect(deleted).toMatchObject({ ok: true, decisions: [{ acks: [{ reason: 'removed' }] }] });
      expect(ruleset()).not.toMatch(/198\.51\.100\.7|fd99::1/);
      await real.stop();
    } finally {
      space.remove();
    }
  },
);
