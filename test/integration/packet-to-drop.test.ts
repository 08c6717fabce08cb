import { afterEach, beforeEach, expect, test } from 'vitest';
import { fatesOf } from '#test/kit/fates.ts';
import { attackers, isRoot, type Scene, scene, VICTIM } from '#test/kit/namespaces.ts';
import { LAUNCHER, launch, NODE, type Running, temporaryFolder } from '#test/kit/processes.ts';
import { hasPrograms } from '#test/kit/programs.ts';
import { until } from '#test/kit/system.ts';
import { prepareValidators } from '#test/kit/validators.ts';

const SERVICE = 80;
const TTL_S = 12;
const ATTACKER = attackers(4, 1);
const CLIENT = attackers(4, 2);
const TRY_MS = 250;
/** What gets no answer in this time, on a machine that is busy, too, is dropped. */
const SURE_MS = 2000;

let world: Scene | undefined;
let node: Running | undefined;
let folder = temporaryFolder();

beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(async () => {
  node?.signal('SIGKILL');
  await node?.done;
  world?.remove();
  folder.remove();
});

const connect = async (from: string, port: number, timeoutMs = SURE_MS): Promise<string> =>
  String(await world!.attacker.ask({ op: 'tcp', from, to: VICTIM[4], port, timeoutMs }));

/** One probe of a connect() scan: it takes the connection and resets it. */
const scan = async (port: number): Promise<string> => {
  const probe = { from: ATTACKER, to: VICTIM[4], port, timeoutMs: TRY_MS, reset: true };
  return String(await world!.attacker.ask({ op: 'tcp', ...probe }));
};

/** A whole node inside the victim: its packets, four validators on its loopback, its firewall. */
const startInVictim = async (): Promise<void> => {
  const { genesis } = prepareValidators(folder.path, { ttlLadderS: [TTL_S] });
  const set = [
    `node.dataDir=${folder.path}`,
    'genesis.create=false',
    `genesis.file=${genesis.file}`,
    `genesis.sha256=${genesis.sha256}`,
    'detection.telemetry.config.source.kind=live',
    'detection.telemetry.config.source.interface=wire',
    'enforcer.config.backend=nftables',
    'enforcer.config.tickMs=200',
  ];
  const args = [LAUNCHER, 'start', 'config/local.yaml', ...set.flatMap((one) => ['--set', one])];
  const inside = ['netns', 'exec', world!.victim.name, NODE, ...args];
  node = launch('ip', inside, { timeoutMs: 180_000 });
  await node.saw(/"actor":"api".*"ready"|reading|listening/i, 60_000);
  await node.saw(/"actor":"feedback","msg":"ready"/, 60_000);
};

/** Ctrl-C, and the disks tell of commits, acknowledgements and no fork. */
const endsWell = async (): Promise<void> => {
  node!.signal('SIGINT');
  expect((await node!.done).code).toBe(0);
  const fates = fatesOf(folder.path);
  expect(fates.forks).toEqual([]);
  expect(fates.committed.length).toBeGreaterThan(0);
  expect(fates.acks.applied.length).toBeGreaterThan(0);
};

/** The attacker is silent to the victim until its time is over; the client is served all the while. */
const isDroppedForItsTime = async (): Promise<void> => {
  expect(await connect(ATTACKER, SERVICE)).toBe('timeout');
  expect(await connect(CLIENT, SERVICE)).toBe('open');
  expect(world!.victim.exec('nft', 'list', 'table', 'inet', 'cybermesh')).toContain(ATTACKER);
  await until(async () => (await connect(ATTACKER, SERVICE)) === 'open', (TTL_S + 30) * 1000);
  expect(await connect(CLIENT, SERVICE)).toBe('open');
};

test.skipIf(!isRoot || !hasPrograms('ip', 'nft'))(
  'a scan is seen on the wire, agreed on by four validators and dropped in the kernel of the victim, while a client is served (needs root and ip and nft)',
  { timeout: 240_000 },
  async () => {
    world = await scene([SERVICE, 22, 443]);
    await startInVictim();
    expect(await connect(CLIENT, SERVICE)).toBe('open');
    expect(await connect(ATTACKER, SERVICE)).toBe('open');

    const served: string[] = [];
    const beganMs = performance.now();
    let droppedMs = 0;
    for (let port = 1; droppedMs === 0; port++) {
      const triedMs = performance.now();
      const target = [SERVICE, 22, 443][port % 8] ?? port;
      const silent = (await scan(target)) === 'timeout';
      if (silent && (await connect(ATTACKER, SERVICE)) === 'timeout') droppedMs = triedMs - beganMs;
      if (port % 50 === 0) served.push(await connect(CLIENT, SERVICE));
      if (triedMs - beganMs > 60_000) {
        throw new Error(`the attacker was never dropped:\n${node!.output().slice(-4000)}`);
      }
    }
    console.log(`first attack packet to first dropped one: ${droppedMs.toFixed(0)} ms`);
    expect(new Set(served)).toEqual(new Set(['open']));
    await isDroppedForItsTime();
    await endsWell();
  },
);

test.skipIf(!isRoot || !hasPrograms('ip', 'nft'))(
  'a flood of whole connections is dropped in the kernel of the victim, while a client is served (needs root and ip and nft)',
  { timeout: 240_000 },
  async () => {
    world = await scene([SERVICE]);
    await startInVictim();
    const command = { op: 'flood', from: ATTACKER, to: VICTIM[4], port: SERVICE } as const;
    const outcome = String(
      await world.attacker.ask({ ...command, sureMs: SURE_MS, lastMs: 60_000 }),
    );
    const [opened, droppedMs] = outcome.split(' ').map(Number);
    console.log(`flood: ${opened} connections, first dropped packet after ${droppedMs} ms`);
    expect(opened).toBeGreaterThan(100);
    expect(droppedMs).toBeGreaterThan(0);
    await isDroppedForItsTime();
    await endsWell();
  },
);
