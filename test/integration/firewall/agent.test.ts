/** From a proven policy to dropped packets: restarts, the brake, a firewall that fails in between. */

import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { prepare } from '#actors/enforcer/cli.ts';
import { config } from '#actors/enforcer/config.ts';
import { auditFile, endPanic, startPanic } from '#actors/enforcer/panic.ts';
import { writeKeyPair } from '#native/crypto.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { ATTACKER, arrivals, type Scene, scene, VICTIM } from '#test/kit/namespaces.ts';
import { cybermesh, ROOT, temporaryFolder } from '#test/kit/processes.ts';
import { committedPolicy, updateOf } from '../../actors/enforcer/policies.ts';
import { type Agent, agentIn } from './agent.ts';
import { hasNft } from './backends.ts';

const PORT = 8080;
const genesis = testGenesis({}, []);
const brief = testGenesis({ ttlLadderS: [4, 3600] }, []);

describe.skipIf(!hasNft)('the agent over nftables (needs root and ip and nft and ping)', () => {
  let world: Scene;
  let folder: ReturnType<typeof temporaryFolder>;
  let agent: Agent;
  let now: () => number;
  const policy = committedPolicy(ATTACKER[4], genesis);
  const second = committedPolicy('203.0.113.50', genesis);
  beforeAll(async () => {
    world = await scene([PORT]);
  });
  afterAll(() => world?.remove());
  const begin = (on = genesis, settings = {}) => {
    const keyFile = path.join(folder.path, 'agent.pem');
    return agentIn({
      dataDir: folder.path,
      genesis: on,
      keyFile,
      netns: world.victim.name,
      now,
      settings,
    });
  };
  beforeEach(async () => {
    folder = temporaryFolder();
    writeKeyPair(path.join(folder.path, 'agent.pem'));
    // The chain of the test is committed now.
    const offsetMs = policy.state.committedMs - Date.now();
    now = () => Date.now() + offsetMs;
    agent = await begin();
  });
  afterEach(async () => {
    await agent.close();
    world.victim.exec('nft', 'flush', 'ruleset');
    folder.remove();
  });
  const heard = () => {
    const flow = { from: ATTACKER[4], to: VICTIM[4], port: PORT };
    return arrivals(world.attacker, world.victim, flow);
  };

  test('a committed policy drops packets for its time and no longer', async () => {
    await agent.close();
    const short = committedPolicy(ATTACKER[4], brief);
    const offsetMs = short.state.committedMs - Date.now();
    now = () => Date.now() + offsetMs;
    agent = await begin(brief);
    expect(await heard()).toBe(5);
    await agent.receive(updateOf(short));
    expect(agent.acks()).toEqual(['applied']);
    expect(await heard()).toBe(0);
    await pause(short.state.expiresMs - now() + 150);
    expect(await heard()).toBe(5);
    await agent.tell({ kind: 'tick' });
    await agent.tell({ kind: 'reconcile' });
    expect(agent.acks()).toEqual([]);
  });

  test('after a crash and a flushed kernel everything is in force before the first new policy', async () => {
    await agent.receive(updateOf(policy));
    world.victim.exec('nft', 'flush', 'ruleset');
    const again = await begin();
    expect(await heard()).toBe(0);
    // The crash may have come before the disk heard that an acknowledgement had arrived: then it is said again.
    await again.receive(updateOf(policy, {}, 'v2'));
    expect(agent.ackIds).toEqual(expect.arrayContaining([...again.ackIds]));
    expect(again.ackIds.length).toBeLessThanOrEqual(1);
    await again.close();
  });

  test('while the brake is pulled nothing is enforced, and the acknowledgements say so', async () => {
    await agent.receive(updateOf(policy));
    expect(agent.acks()).toEqual(['applied']);
    const brake = { atMs: now(), untilMs: now() + 60_000, by: 'test', reason: 'lockout' };
    startPanic(folder.path, brake);
    await agent.tell({ kind: 'tick' });
    expect(await heard()).toBe(5);
    expect(agent.acks()).toEqual(['failed panic']);
    await agent.receive(updateOf(second));
    expect(agent.acks()).toEqual(['failed panic']);
    expect(world.victim.exec('nft', 'list', 'ruleset')).toBe('');
    endPanic(folder.path, 'test', now());
    await agent.tell({ kind: 'tick' });
    expect(await heard()).toBe(0);
    expect(agent.acks()).toEqual(['applied', 'applied']);
    expect(new Set(agent.ackIds).size).toBe(agent.ackIds.length);
  });

  test('with the kill switch on, a restart takes away what was in force', async () => {
    await agent.receive(updateOf(policy));
    expect(await heard()).toBe(0);
    const switched = await begin(genesis, { killSwitch: true });
    expect(switched.acks()).toEqual(['failed kill-switch']);
    await switched.receive(updateOf(second));
    expect(switched.acks()).toEqual(['failed kill-switch']);
    expect(await heard()).toBe(5);
    await switched.close();
  });

  test('a policy that the firewall could not take is in force as soon as it can', async () => {
    const before = process.env.PATH;
    process.env.PATH = folder.path;
    try {
      await agent.receive(updateOf(policy));
      expect(agent.acks()).toEqual(['failed missing-program']);
      await agent.tell({ kind: 'reconcile' });
      expect(agent.acks()).toEqual([]);
    } finally {
      process.env.PATH = before;
    }
    await agent.tell({ kind: 'reconcile' });
    expect(agent.acks()).toEqual(['applied']);
    expect(await heard()).toBe(0);
  });

  test('an own address of the host is not cut off, whoever commits it', async () => {
    const own = committedPolicy(VICTIM[4], genesis);
    await agent.receive(updateOf(own));
    expect(agent.acks()).toEqual(['failed own-address']);
  });

  test('the command panic removes what is ours beside a stopped agent and writes it down', async () => {
    await agent.receive(updateOf(policy));
    const settings = [
      `node.dataDir=${folder.path}`,
      'enforcer.config.backend=nftables',
      `enforcer.config.netns=${world.victim.name}`,
    ].flatMap((one) => ['--set', one]);
    const topology = path.join(ROOT, 'config', 'local.yaml');
    const listed = await cybermesh(['decisions', 'list', topology, '--all', ...settings]);
    expect(listed.stdout).toMatch(new RegExp(`${policy.policyId} +applied`));
    const pulled = await cybermesh([
      'panic',
      topology,
      '--for',
      '10m',
      '--reason',
      'x',
      ...settings,
    ]);
    expect(pulled).toMatchObject({ code: 0 });
    expect(await heard()).toBe(5);
    const events = readFileSync(auditFile(folder.path), 'utf8').trim().split('\n');
    expect(events.map((one) => JSON.parse(one).event)).toEqual(['panic', 'clear']);
    const released = await cybermesh(['panic', topology, '--end', ...settings]);
    expect(released).toMatchObject({ code: 0 });
    const wrong = await cybermesh(['panic', topology, '--for', '2d', ...settings]);
    expect(wrong.code).toBe(2);
  });

  test('a start without the program is refused by name, with what to do', async () => {
    const before = process.env.PATH;
    const view = {
      file: '',
      node: { name: 'x', dataDir: folder.path },
      genesis: { create: false, file: '', sha256: '' },
      database: { url: '' },
      sections: {},
      actors: [
        {
          path: 'enforcer',
          name: 'enforcer',
          actor: 'enforcer',
          branch: [],
          config: config.parse({ backend: 'nftables', netns: world.victim.name }),
          thread: 'enforcer',
        },
      ],
    };
    expect(await prepare(view)).toEqual({ ok: true, value: {} });
    process.env.PATH = folder.path;
    try {
      const refused = await prepare(view);
      expect(refused).toMatchObject({ ok: false });
      expect(JSON.stringify(refused)).toMatch(/missing-program.*apt-get install/);
    } finally {
      process.env.PATH = before;
    }
  });
});
