/** Ten thousand policies: how fast is measured by bench/enforcement.ts, that they are right is shown here. */
import { spawn } from 'node:child_process';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ATTACKER, arrivals, type Scene, scene, VICTIM } from '#test/kit/namespaces.ts';
import { ROOT } from '#test/kit/processes.ts';
import { bring, entryOf, inForce, KINDS, manyHosts } from './backends.ts';

const PORT = 8080;
const COUNT = 10_000;
const BATCH = 256;
const HOLDER = path.join(ROOT, 'test/integration/firewall/holder.ts');

for (const { name, has, needs, backend: backendIn } of KINDS) {
  describe.skipIf(!has)(`${name}, ten thousand policies ${needs}`, () => {
    let world: Scene;
    beforeEach(async () => {
      world = await scene([PORT]);
    });
    afterEach(() => world.remove());
    const heard = () => {
      const flow = { from: ATTACKER[4], to: VICTIM[4], port: PORT };
      return arrivals(world.attacker, world.victim, flow);
    };
    const hold = async (): Promise<void> => {
      const args = ['--no-warnings', HOLDER, name, world.victim.name, String(COUNT)];
      const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = new Promise((resolve) => child.once('close', resolve));
      await Promise.race([new Promise((resolve) => child.stdout.once('data', resolve)), ended]);
      child.kill('SIGKILL');
      await ended;
    };

    test('are in force, outlive a kill -9 of the agent, are listed, restored after everything was taken away, and removed', async () => {
      expect(await heard()).toBe(5);
      await hold();
      const desired = manyHosts(COUNT);
      const ids = desired.map((one) => one.id).toSorted();
      const backend = backendIn(world.victim);
      expect(await inForce(backend)).toEqual([]);
      // A new agent knows them when it has been told what is committed; the kernel kept them all the while.
      expect(await heard()).toBe(0);
      const first = await backend.restore(desired, Date.now());
      expect(first.filter((one) => !one.ok)).toEqual([]);
      expect(await inForce(backend)).toEqual(ids);
      await backend.clear();
      expect(await heard()).toBe(5);
      const again = backendIn(world.victim);
      const second = await again.restore(desired, Date.now());
      expect(second.filter((one) => !one.ok)).toEqual([]);
      expect(await inForce(again)).toEqual(ids);
      expect(await heard()).toBe(0);
      const other = entryOf({ target: { ips: ['198.51.100.1'], direction: 'ingress' } });
      await bring(again, other);
      for (let k = 0; k < COUNT; k += BATCH) {
        await again.change([], ids.slice(k, k + BATCH), Date.now());
      }
      expect(await inForce(again)).toEqual([other.id]);
      expect(await heard()).toBe(5);
    });
  });
}
