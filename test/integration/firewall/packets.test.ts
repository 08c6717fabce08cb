/** Real packets between namespaces: before a policy they arrive, under it they do not, after it they do. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { Backend } from '#actors/enforcer/backend.ts';
import type { Entry } from '#actors/enforcer/registry.ts';
import { ATTACKER, arrivals, attackers, type Scene, scene, VICTIM } from '#test/kit/namespaces.ts';
import { bring, entryOf, FAILSAFE_PORT, inForce, KINDS, type Wish } from './backends.ts';

const PORT = 8080;
const OTHER = 9090;
const SENT = 5;
const CONNECT_MS = 300;
/** Mostly waits: each backend and family has a scene of its own, side by side; what shares a scene takes turns. */
const IN_TURN = { concurrent: false };
/** The kernel's clock goes on while a busy machine keeps us from looking: such a look is made again. */
const REAL_TIME = { ...IN_TURN, retry: 2 };
const SIDES = KINDS.flatMap((kind) => ([4, 6] as const).map((family) => ({ ...kind, family })));

for (const { name, family, has, needs, lateMs, backend: backendIn } of SIDES) {
  describe(`${name}, IPv${family} ${needs}`, { concurrent: true, skip: !has }, () => {
    let world: Scene;
    let backend: Backend;
    beforeAll(async () => {
      world = await scene([PORT, OTHER, FAILSAFE_PORT]);
    });
    afterAll(() => world?.remove());
    afterEach(async () => {
      await backend.clear();
    });
    const began = async (): Promise<void> => {
      backend = backendIn(world.victim);
      await backend.restore([], Date.now());
    };
    const enforce = async (...wishes: readonly Wish[]): Promise<readonly Entry[]> => {
      await began();
      const entries = wishes.map(entryOf);
      await bring(backend, ...entries);
      return entries;
    };
    /** Datagrams of SENT that reach the victim from one of the attacker's addresses. */
    const inward = (family: 4 | 6, host = 1, port = PORT): Promise<number> => {
      const from = attackers(family, host);
      return arrivals(world.attacker, world.victim, { from, to: VICTIM[family], port }, SENT);
    };
    const outward = (family: 4 | 6, host = 1, port = PORT): Promise<number> => {
      const to = attackers(family, host);
      return arrivals(world.victim, world.attacker, { from: VICTIM[family], to, port }, SENT);
    };
    const connects = (family: 4 | 6, port = PORT) =>
      world.attacker.ask({
        op: 'tcp',
        from: ATTACKER[family],
        to: VICTIM[family],
        port,
        timeoutMs: CONNECT_MS,
      });

    const ips = [ATTACKER[family]];
    test(
      `a dropped IPv${family} host is silent until its time is over, others are heard`,
      REAL_TIME,
      async () => {
        await began();
        expect(await inward(family)).toBe(SENT);
        const entry = entryOf({ target: { ips, direction: 'ingress' }, ttlMs: 2500 });
        await bring(backend, entry);
        expect(await inward(family)).toBe(0);
        expect(await connects(family)).toBe('timeout');
        expect(await inward(family, 2)).toBe(SENT);
        expect(await inward(family === 4 ? 6 : 4)).toBe(SENT);
        await pause(entry.expiresMs - Date.now() + lateMs);
        expect(await inward(family)).toBe(SENT);
        expect(await connects(family)).toBe('open');
      },
    );

    test(`a rejected IPv${family} host is told so`, IN_TURN, async () => {
      await enforce({ action: 'reject', target: { ips, direction: 'ingress' } });
      expect(await connects(family)).toBe('ECONNREFUSED');
      expect(await inward(family)).toBe(0);
    });

    test(`egress stops IPv${family} packets to a host, not those from it`, IN_TURN, async () => {
      await enforce({ target: { ips, direction: 'egress' } });
      expect(await outward(family)).toBe(0);
      expect(await outward(family, 2)).toBe(SENT);
      expect(await inward(family)).toBe(SENT);
    });

    test(`without a direction an IPv${family} host is cut off both ways`, IN_TURN, async () => {
      await enforce({ target: { ips } });
      expect([await inward(family), await outward(family)]).toEqual([0, 0]);
    });

    test(`ports and protocols narrow a policy over IPv${family}`, IN_TURN, async () => {
      const ports = [PORT, { from: 9100, to: 9200 }];
      await enforce({ target: { ips, direction: 'ingress', protocols: ['udp'], ports } });
      expect(await inward(family)).toBe(0);
      expect(await inward(family, 1, OTHER)).toBe(SENT);
      expect(await connects(family)).toBe('open');
    });

    test(`a range of IPv${family} ports ends where it says`, IN_TURN, async () => {
      const range = { from: PORT + 1, to: OTHER };
      await enforce({ target: { ips, direction: 'ingress', ports: [range] } });
      expect(await inward(family, 1, OTHER)).toBe(0);
      expect(await inward(family, 1, PORT)).toBe(SENT);
      expect(await connects(family, OTHER)).toBe('timeout');
    });

    test(`a protocol without ports is stopped alone over IPv${family}`, IN_TURN, async () => {
      expect(world.attacker.pings(ATTACKER[family], VICTIM[family])).toBe(true);
      await enforce({ target: { ips, direction: 'ingress', protocols: ['icmp'] } });
      expect(world.attacker.pings(ATTACKER[family], VICTIM[family])).toBe(false);
      expect(await inward(family)).toBe(SENT);
    });

    test(`a rate limit lets its IPv${family} packets pass and no more`, IN_TURN, async () => {
      const criteria = { attempts_per_window: 10, window_s: 3600 };
      await enforce({ action: 'rate_limit', target: { ips, direction: 'ingress' }, criteria });
      const flow = { from: ATTACKER[family], to: VICTIM[family], port: PORT };
      expect(await arrivals(world.attacker, world.victim, flow, 40)).toBe(10);
      expect(await inward(family, 2)).toBe(SENT);
    });

    test(
      `a rate limit of a victim's IPv${family} address slows what comes to it`,
      IN_TURN,
      async () => {
        const criteria = { attempts_per_window: 3, window_s: 3600 };
        const target = { ips: [VICTIM[family]], ports: [PORT] };
        await enforce({
          action: 'rate_limit',
          target: { ...target, direction: 'ingress' },
          criteria,
        });
        expect(await inward(family, 3)).toBe(3);
        expect(await inward(family, 4)).toBe(0);
        expect(await inward(family, 4, OTHER)).toBe(SENT);
      },
    );

    test(
      `a dry run over IPv${family} counts what it would have dropped and drops nothing`,
      IN_TURN,
      async () => {
        await enforce({ target: { ips, direction: 'ingress' }, dryRun: true });
        expect(await inward(family)).toBe(SENT);
        const census = await backend.census(Date.now());
        expect(census).toMatchObject({ value: { packets: { dry_run: SENT, drop: 0 } } });
      },
    );

    test(`an IPv${family} network ends at its edges`, IN_TURN, async () => {
      const cidr = family === 4 ? '10.77.0.4/30' : 'fd77::4/126';
      await enforce({ target: { cidrs: [cidr], direction: 'ingress' } });
      const heard = await Promise.all([3, 4, 7, 8].map((host) => inward(family, host)));
      expect(heard).toEqual([SENT, 0, 0, SENT]);
    });

    test(
      `a host inside an IPv${family} network outlives it, and the network outlives a host`,
      REAL_TIME,
      async () => {
        const cidr = family === 4 ? '10.77.0.4/30' : 'fd77::4/126';
        const host = { ips: [attackers(family, 5)], direction: 'ingress' } as const;
        const network = { cidrs: [cidr], direction: 'ingress' } as const;
        const [long, , short] = await enforce(
          { target: { ...host, ips: [...host.ips] } },
          { target: { ...network, cidrs: [...network.cidrs] }, ttlMs: 1500 },
          { target: { ips: [attackers(family, 6)], direction: 'ingress' }, ttlMs: 400 },
        );
        expect(await inForce(backend)).toContain(short!.id);
        await pause(700);
        expect(await inward(family, 6)).toBe(0);
        await pause(800 + lateMs);
        expect(await inward(family, 6)).toBe(SENT);
        expect(await inward(family, 5)).toBe(0);
        expect(await inForce(backend)).toContain(long!.id);
      },
    );

    test(
      `of two overlapping IPv${family} networks each part lasts as long as the longer one`,
      REAL_TIME,
      async () => {
        const [wide, narrow] =
          family === 4 ? ['10.77.0.0/29', '10.77.0.4/30'] : ['fd77::/125', 'fd77::4/126'];
        await enforce(
          { target: { cidrs: [wide], direction: 'ingress' }, ttlMs: 1500 },
          { target: { cidrs: [narrow], direction: 'ingress' } },
        );
        expect([await inward(family, 2), await inward(family, 5)]).toEqual([0, 0]);
        await pause(1500 + lateMs);
        expect([await inward(family, 2), await inward(family, 5)]).toEqual([SENT, 0]);
      },
    );

    test(
      `removing one of two overlapping IPv${family} networks leaves the other whole`,
      IN_TURN,
      async () => {
        const [wide, narrow] =
          family === 4 ? ['10.77.0.0/29', '10.77.0.4/30'] : ['fd77::/125', 'fd77::4/126'];
        const [first, second] = await enforce(
          { target: { cidrs: [wide], direction: 'ingress' } },
          { target: { cidrs: [narrow], direction: 'ingress' } },
        );
        await backend.change([], [second!.id], Date.now());
        expect([await inward(family, 2), await inward(family, 5)]).toEqual([0, 0]);
        await bring(backend, second!);
        await backend.change([], [first!.id], Date.now());
        expect([await inward(family, 2), await inward(family, 5)]).toEqual([SENT, 0]);
      },
    );

    test(`failsafe ports stay open over IPv${family} whatever a policy says`, IN_TURN, async () => {
      await enforce({ target: { ips } }, { action: 'reject', target: { ips } });
      expect(await connects(family)).toBe('timeout');
      expect(await connects(family, FAILSAFE_PORT)).toBe('open');
      expect(await inward(family, 1, FAILSAFE_PORT)).toBe(SENT);
    });

    if (family === 4) {
      test(
        'overlapping ports of overlapping networks end each at its own time',
        REAL_TIME,
        async () => {
          const direction = 'ingress';
          const protocols = ['udp'];
          await enforce(
            {
              target: {
                cidrs: ['10.77.0.0/29'],
                direction,
                protocols,
                ports: [{ from: 8000, to: 8500 }],
              },
              ttlMs: 1500,
            },
            {
              target: {
                cidrs: ['10.77.0.4/30'],
                direction,
                protocols,
                ports: [{ from: 8080, to: 9090 }],
              },
            },
          );
          expect(await Promise.all([inward(4, 2), inward(4, 5), inward(4, 2, OTHER)])).toEqual([
            0,
            0,
            SENT,
          ]);
          expect(await inward(4, 5, OTHER)).toBe(0);
          await pause(1500 + lateMs);
          expect(await Promise.all([inward(4, 2), inward(4, 5)])).toEqual([SENT, 0]);
        },
      );

      test('a policy that is renewed lasts as long as it says now', REAL_TIME, async () => {
        const [short] = await enforce({
          target: { ips: [ATTACKER[4]], direction: 'ingress' },
          ttlMs: 900,
        });
        await bring(backend, { ...short!, expiresMs: Date.now() + 60_000 });
        await pause(900 + lateMs);
        expect(await inward(4)).toBe(0);
        await bring(backend, { ...short!, expiresMs: Date.now() + 900 });
        await pause(900 + lateMs);
        expect(await inward(4)).toBe(SENT);
      });

      test('what only workloads can be asked for is refused, not left out', IN_TURN, async () => {
        await began();
        const selectors = { app: 'web' };
        const outcomes = await backend.change([entryOf({ target: { selectors } })], [], Date.now());
        expect(outcomes).toMatchObject([{ ok: false, code: 'not-enforceable' }]);
      });
    }
  });
}
