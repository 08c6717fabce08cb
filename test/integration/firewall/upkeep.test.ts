/** The kernel stays as committed: drift, crashes, what others own, what the machine lacks. */

import { spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Backend } from '#actors/enforcer/backend.ts';
import { reconcile } from '#actors/enforcer/reconciling.ts';
import { ATTACKER, arrivals, type Scene, scene, VICTIM } from '#test/kit/namespaces.ts';
import { ROOT, temporaryFolder } from '#test/kit/processes.ts';
import { bring, entryOf, hasNft, inForce, KINDS } from './backends.ts';

const PORT = 8080;
const now = (): number => Date.now();
const host = (k: number): string => `10.${(k >> 16) & 255}.${(k >> 8) & 255}.${k & 255}`;
const hosts = (count: number, first = 0) =>
  Array.from({ length: count }, (_, k) =>
    entryOf({ target: { ips: [host(first + k)], direction: 'ingress' } }),
  );

for (const { name, has, needs, backend: backendIn, shown } of KINDS) {
  describe.skipIf(!has)(`${name} ${needs}`, () => {
    let world: Scene;
    let backend: Backend;
    beforeAll(async () => {
      world = await scene([PORT]);
    });
    afterAll(() => world?.remove());
    beforeEach(async () => {
      backend = backendIn(world.victim);
      await backend.clear();
      await backend.restore([], now());
    });
    const heard = () => {
      const flow = { from: ATTACKER[4], to: VICTIM[4], port: PORT };
      return arrivals(world.attacker, world.victim, flow);
    };
    const blocked = () => entryOf({ target: { ips: [ATTACKER[4]], direction: 'ingress' } });
    const network = () => entryOf({ target: { cidrs: ['10.77.0.0/29'], direction: 'ingress' } });

    test('what somebody deletes behind our back is in force again after one comparison', async () => {
      const entries = [blocked(), network()];
      const ways: readonly (() => void)[] =
        name === 'nftables'
          ? [
              () => world.victim.exec('nft', 'flush', 'ruleset'),
              () => world.victim.exec('nft', 'flush', 'chain', 'inet', 'cybermesh', 'in_drop'),
              () => world.victim.exec('nft', 'flush', 'set', 'inet', 'cybermesh', 'in4_drop_host'),
              () => world.victim.exec('nft', 'flush', 'set', 'inet', 'cybermesh', 'in4_drop_net'),
              () =>
                world.victim.exec('nft', 'insert', 'rule', 'inet', 'cybermesh', 'input', 'accept'),
            ]
          : [
              () => world.victim.exec('iptables', '-F'),
              () => world.victim.exec('iptables', '-D', 'INPUT', '-j', 'CYBERMESH-INPUT'),
              () => world.victim.exec('iptables', '-I', 'CYBERMESH-IN', '-j', 'ACCEPT'),
              () => world.victim.exec('ipset', 'flush', 'cybermesh_i4d_net'),
            ];
      await bring(backend, ...entries);
      for (const damage of ways) {
        expect(await heard()).toBe(0);
        damage();
        const found = await reconcile(backend, entries, now);
        expect(found.missing.length + found.foreign).toBeGreaterThan(0);
        expect(found.outcomes.every((one) => one.ok)).toBe(true);
        expect(await heard()).toBe(0);
        expect(await reconcile(backend, entries, now)).toMatchObject({ missing: [], foreign: 0 });
      }
    });

    test('a write after somebody removed everything brings back everything', async () => {
      const first = blocked();
      await bring(backend, first);
      if (name === 'nftables') world.victim.exec('nft', 'flush', 'ruleset');
      else for (const one of ['iptables', 'ip6tables']) world.victim.exec(one, '-F');
      if (name === 'iptables') await backend.restore([first], now());
      const second = entryOf({ target: { ips: ['203.0.113.9'], direction: 'ingress' } });
      await bring(backend, second);
      expect(await inForce(backend)).toEqual([first.id, second.id].sort());
    });

    test('a large batch writes elements and leaves table, rules and sets as they stand', async () => {
      await bring(backend, blocked(), network());
      const rules = (): string =>
        name === 'nftables'
          ? (/table inet cybermesh \{ # handle (\d+)/.exec(
              world.victim.exec('nft', '-a', 'list', 'ruleset'),
            )?.[1] ?? '')
          : world.victim.exec('nft', '-a', 'list', 'chain', 'ip', 'filter', 'CYBERMESH-IN');
      const before = rules();
      expect(before).not.toBe('');
      const many = hosts(600);
      await bring(backend, ...many);
      await backend.change(
        [],
        many.map((one) => one.id),
        now(),
      );
      expect(rules()).toBe(before);
      expect(await inForce(backend)).toHaveLength(2);
    });

    test('an element that nobody asked for is taken away', async () => {
      const entries = [entryOf({ target: { ips: ['203.0.113.9'], direction: 'ingress' } })];
      await bring(backend, ...entries);
      const stranger = ATTACKER[4];
      if (name === 'nftables') {
        const element = `{ ${stranger} timeout 1h }`;
        world.victim.exec('nft', 'add', 'element', 'inet', 'cybermesh', 'in4_drop_host', element);
      } else world.victim.exec('ipset', 'add', 'cybermesh_i4d_net', stranger, 'timeout', '3600');
      expect(await heard()).toBe(0);
      expect(await reconcile(backend, entries, now)).toMatchObject({ missing: [], foreign: 1 });
      expect(await heard()).toBe(5);
    });

    test('tables, chains and sets of others are as they were, after everything that we do', async () => {
      const { victim } = world;
      victim.exec('nft', 'add', 'table', 'inet', 'others');
      victim.exec('nft', 'add', 'set', 'inet', 'others', 'cybermesh', '{ type ipv4_addr; }');
      victim.exec('nft', 'add', 'element', 'inet', 'others', 'cybermesh', '{ 192.0.2.1 }');
      victim.exec('iptables', '-A', 'INPUT', '-s', '192.0.2.7', '-j', 'DROP');
      victim.exec('iptables', '-N', 'OTHERS');
      victim.exec('ipset', 'create', 'others', 'hash:ip', '-exist');
      await backend.clear();
      const state = (): string =>
        [
          victim.exec('nft', 'list', 'table', 'inet', 'others'),
          victim.exec('iptables-save').replace(/^#.*$|\[\d+:\d+\]/gm, ''),
          victim.exec('ipset', 'save', 'others'),
        ].join('\n');
      const before = state();
      await backend.restore([blocked()], now());
      await bring(backend, ...hosts(20), network());
      await backend.restore([network()], now());
      await backend.clear();
      expect(state()).toBe(before);
      expect(shown(victim)).not.toMatch(/table inet cybermesh|CYBERMESH|cybermesh_/);
      victim.exec('iptables', '-F');
      victim.exec('iptables', '-X', 'OTHERS');
    });

    test('clearing is no error where nothing of ours is', async () => {
      await backend.clear();
      expect(await backend.clear()).toEqual({ ok: true, value: undefined });
      expect(await inForce(backend)).toEqual([]);
    });

    test('packet counts go on when everything is written anew', async () => {
      await bring(backend, blocked());
      await heard();
      await backend.restore([network()], now());
      await heard();
      const census = await backend.census(now());
      expect(census).toMatchObject({ value: { packets: { drop: 10 } } });
    });

    test('an agent killed in the midst of its batches leaves what a restart makes equal', async () => {
      const script = path.join(ROOT, 'test/integration/firewall/writer.ts');
      for (const killMs of [150, 300, 450]) {
        const child = spawn(process.execPath, ['--no-warnings', script, name, world.victim.name], {
          stdio: ['ignore', 'pipe', 'inherit'],
          detached: true,
        });
        const ended = new Promise((resolve) => child.on('close', resolve));
        await new Promise((resolve) => child.stdout.once('data', resolve));
        await pause(killMs);
        // The agent and whatever nft or ipset it has running.
        process.kill(-child.pid!, 'SIGKILL');
        await ended;
        const desired = [blocked(), network(), ...hosts(50, 5000)];
        const again = backendIn(world.victim);
        const outcomes = await again.restore(desired, now());
        expect(outcomes.filter((one) => !one.ok)).toEqual([]);
        expect(await inForce(again)).toEqual(desired.map((one) => one.id).sort());
        expect(await reconcile(again, desired, now)).toMatchObject({ missing: [], foreign: 0 });
        expect(await heard()).toBe(0);
      }
    });

    test('without CAP_NET_ADMIN the code is no-capability', async () => {
      const folder = temporaryFolder();
      const before = process.env.PATH;
      const programs = ['nft', 'ipset', 'iptables-save', 'iptables-restore'];
      for (const program of programs) {
        // As it runs in a process that was not given the capability.
        const file = path.join(folder.path, program);
        const words = 'setpriv --bounding-set -net_admin --inh-caps -net_admin';
        writeFileSync(file, `#!/bin/sh\nPATH=${before}\nexec ${words} ${program} "$@"\n`);
        chmodSync(file, 0o755);
      }
      try {
        process.env.PATH = `${folder.path}:${before}`;
        expect(await backend.probe()).toMatchObject({ error: { code: 'no-capability' } });
        const [outcome] = await backend.change([blocked()], [], now());
        expect(outcome).toMatchObject({ ok: false, code: 'no-capability' });
      } finally {
        process.env.PATH = before;
        folder.remove();
      }
    });

    test('a program that is missing or says no is named, and later the same write succeeds', async () => {
      const folder = temporaryFolder();
      const before = process.env.PATH;
      const tools = path.join(folder.path, 'bin');
      mkdirSync(tools);
      const entry = blocked();
      const tried = async () => (await backend.change([entry], [], now()))[0];
      try {
        process.env.PATH = tools;
        expect(await backend.probe()).toMatchObject({ error: { code: 'missing-program' } });
        expect(await tried()).toMatchObject({ ok: false, code: 'missing-program' });
        const cases = [
          ['Operation not permitted (you must be root)', 'no-capability'],
          ['cache initialization failed: Protocol not supported', 'no-kernel-support'],
          ['something else', 'rejected'],
        ] as const;
        const file = path.join(tools, 'ip');
        for (const [text, code] of cases) {
          writeFileSync(file, `#!/bin/sh\necho '${text}' >&2\nexit 1\n`);
          chmodSync(file, 0o755);
          expect(await backend.probe()).toMatchObject({ error: { code } });
          expect(await tried()).toMatchObject({ ok: false, code });
        }
      } finally {
        process.env.PATH = before;
        folder.remove();
      }
      expect(await heard()).toBe(5);
      expect(await reconcile(backend, [entry], now)).toMatchObject({ outcomes: [{ ok: true }] });
      expect(await heard()).toBe(0);
    });
  });
}

describe.skipIf(!hasNft)('on a gateway (needs root and ip and nft and ping)', () => {
  test('what passes through is dropped in both directions, the rest goes on', async () => {
    const world = await scene([PORT], { gateway: true });
    try {
      for (const kind of KINDS.filter((one) => one.has)) {
        const backend = kind.backend(world.gateway!);
        for (const family of [4, 6] as const) {
          const inward = { from: ATTACKER[family], to: VICTIM[family], port: PORT };
          const outward = { from: VICTIM[family], to: ATTACKER[family], port: PORT };
          const both = async () => [
            await arrivals(world.attacker, world.victim, inward),
            await arrivals(world.victim, world.attacker, outward),
          ];
          const ips = [ATTACKER[family]];
          expect(await both()).toEqual([5, 5]);
          await backend.restore([entryOf({ target: { ips, direction: 'ingress' } })], now());
          expect(await both()).toEqual([0, 5]);
          await backend.restore([entryOf({ target: { ips, direction: 'egress' } })], now());
          expect(await both()).toEqual([5, 0]);
          await backend.clear();
        }
      }
    } finally {
      world.remove();
    }
  });
});
