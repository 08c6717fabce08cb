/** What a user sees of keys, genesis and proofs on the command line, and what `start` prepares. */
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { commands, prepare } from '#actors/replica/cli.ts';
import { crypto } from '#native/crypto.ts';
import { fromHex, hex } from '#proto/bytes.ts';
import { configHash, encodeGenesis, parseGenesis } from '#proto/genesis.ts';
import { signControl } from '#proto/wire/control.ts';
import type { CliIo } from '#runtime/cli/command.ts';
import type { TopologyView } from '#runtime/topology/view.ts';
import { keys, testGenesis } from '#test/kit/chain-genesis.ts';
import { freshFolder } from '#test/kit/executor-host.ts';
import { FORGERIES, type Forgery, honest } from '#test/kit/proof-forgeries.ts';

type Ran = { readonly code: number; readonly out: string; readonly err: string };

const run = async (name: string, args: string[], json = false): Promise<Ran> => {
  const out: string[] = [];
  const err: string[] = [];
  const io: CliIo = {
    out: (text) => out.push(text),
    err: (text) => err.push(text),
    json,
    topology: () => Promise.reject(new Error('not in this test')),
    bus: () => Promise.reject(new Error('not in this test')),
  };
  const code = await commands[name]!.run(args, io);
  return { code, out: out.join('\n'), err: err.join('\n') };
};

const viewOf = (dataDir: string, over: Partial<TopologyView['genesis']> = {}): TopologyView => ({
  file: join(dataDir, 't.yaml'),
  node: { name: 'local', dataDir },
  genesis: { create: true, file: join(dataDir, 'genesis.json'), sha256: '', ...over },
  database: { url: '' },
  sections: {},
  actors: ['v1', 'v2'].map((name, at) => ({
    path: `${name}.replica`,
    name: 'replica',
    actor: 'replica',
    branch: [name],
    config: { name, key: `${name}.pem`, listen: `/ip4/127.0.0.1/tcp/700${at}` },
    thread: `${name}.replica`,
  })),
});

test('keygen makes a key that only its owner reads, shows it again, and never overwrites it', async () => {
  const file = join(freshFolder(), 'v9.pem');
  const made = await run('keygen', [file], true);
  const { publicKey, id } = JSON.parse(made.out);
  expect(id).toBe(hex(crypto.sha256(fromHex(publicKey))));
  expect(statSync(file).mode & 0o777).toBe(0o600);
  expect((await run('keygen', [file, '--show'], true)).out).toBe(made.out);
  const again = await run('keygen', [file]);
  expect([again.code, again.err]).toEqual([1, expect.stringContaining('v9.pem')]);
});

test('genesis makes a file from public keys and prints the hash that nodes pin', async () => {
  const out = join(freshFolder(), 'genesis.json');
  const members = (['v1', 'v2', 'v3', 'v4'] as const).flatMap((name) => [
    '--validator',
    `${name}=${hex(keys[name].publicKey)}`,
  ]);
  const producer = ['--producer', `detector:d1=${hex(keys.detector.publicKey)}:600`];
  const made = await run(
    'genesis',
    ['--chain', 'lab', ...members, ...producer, '--out', out],
    true,
  );
  const { sha256, validators } = JSON.parse(made.out);
  const genesis = parseGenesis(readFileSync(out));
  if (!genesis.ok) throw new Error(genesis.error);
  expect([sha256, validators]).toEqual([hex(configHash(genesis.value, crypto)), 4]);
  expect(genesis.value.producers[0]).toMatchObject({ role: 'detector', quotaPerMinute: 600 });
  const wrong = await run('genesis', ['--chain', 'lab', '--validator', 'v1', '--out', out]);
  expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('--validator v1')]);
});

const eventOf = ({ bytes, claim }: Forgery): Uint8Array =>
  signControl(
    'policy-update',
    {
      policyId: claim.policyId,
      action: 'add',
      ruleType: 'block',
      ruleData: claim.ruleData,
      ruleHash: crypto.sha256(claim.ruleData),
      requiresAck: true,
      rollbackPolicyId: '',
      timestamp: 1_780_000_001,
      effectiveHeight: 1,
      expirationHeight: 0,
      producerId: keys.v1.publicKey,
      commitProof: bytes,
    },
    keys.v1.sign,
  );

test('verify believes a policy for its proof alone, and says which check a forgery fails', async () => {
  const folder = freshFolder();
  const genesis = join(folder, 'genesis.json');
  writeFileSync(genesis, encodeGenesis(testGenesis()));
  const policy = join(folder, 'policy.bin');
  const verify = (more: string[] = []) => run('verify', [policy, '--genesis', genesis, ...more]);
  writeFileSync(policy, eventOf(honest));
  expect(await verify()).toMatchObject({ code: 0, out: expect.stringContaining('height 1') });
  expect(await verify(['--sha256', '00'.repeat(32)])).toMatchObject({ code: 1 });
  for (const [name, forgery] of Object.entries(FORGERIES)) {
    writeFileSync(policy, eventOf(forgery));
    expect(await verify()).toMatchObject({ code: 1, err: `error: not proven: ${name}` });
  }
  writeFileSync(policy, 'no policy');
  expect(await verify()).toMatchObject({ code: 1, err: expect.stringContaining('malformed') });
});

test('the first start makes keys and a pinned genesis, the second one finds them', async () => {
  const dataDir = freshFolder();
  const first = await prepare(viewOf(dataDir));
  expect(first.ok && first.value.genesis?.file).toBe(join(dataDir, 'genesis.json'));
  for (const name of ['v1', 'v2', 'detector', 'enforcer', 'operator']) {
    expect(existsSync(join(dataDir, 'keys', `${name}.pem`))).toBe(true);
  }
  expect(await prepare(viewOf(dataDir))).toEqual(first);
});

test('a genesis that is not the pinned one, not there, or of another key is refused by name', async () => {
  const dataDir = freshFolder();
  const view = viewOf(dataDir);
  await prepare(view);
  const { file } = view.genesis;
  const pinned = viewOf(dataDir, { create: false, sha256: '11'.repeat(32) });
  expect(await prepare(pinned)).toMatchObject({ ok: false, error: expect.stringContaining(file) });
  rmSync(join(dataDir, 'keys', 'v2.pem'));
  rmSync(join(dataDir, 'keys', 'v2.pub.pem'));
  await run('keygen', [join(dataDir, 'keys', 'v2.pem')]);
  expect(await prepare(view)).toMatchObject({
    ok: false,
    error: expect.stringContaining('validator v2'),
  });
  rmSync(file);
  expect(await prepare(view)).toMatchObject({
    ok: false,
    error: expect.stringContaining('missing'),
  });
});
