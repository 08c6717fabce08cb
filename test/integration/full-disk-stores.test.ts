/** Each of the disks' users alone on a disk that fills: nothing lost, nothing doubled, nothing half. */
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readPanic } from '#actors/enforcer/panic.ts';
import { EMBEDDED_FOLDER } from '#actors/persistence/database.ts';
import { openReplicaStore } from '#actors/replica/store.ts';
import { openChainFile } from '#native/chain-file.ts';
import { crypto } from '#native/crypto.ts';
import { isDiskRefusal } from '#native/disk.ts';
import { openLog } from '#runtime/log.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { committedChain } from '#test/kit/committed-chain.ts';
import { busOn, safetyRecordOf, signerIn } from '#test/kit/disk-writers.ts';
import { anomalyTx } from '#test/kit/messages.ts';
import { cybermesh } from '#test/kit/processes.ts';
import { canMount, NEEDS_ROOT, type SmallDisk, smallDisk } from '#test/kit/small-disk.ts';
import { sqlAdapter, sqlChain } from '#test/kit/sql-chain.ts';
import { until } from '#test/kit/system.ts';

const SMALL_BYTES = 2 << 20;
const MESSAGE = { topic: 'a', key: 'k', headers: {} } as const;

/** Repeats `work` until the disk refuses it; how often it went well. */
const untilFull = async (work: (n: number) => unknown): Promise<number> => {
  for (let n = 0; ; n++) {
    try {
      await work(n);
    } catch (error) {
      expect(isDiskRefusal(error), String(error)).toBe(true);
      return n;
    }
  }
};

describe.skipIf(!canMount)(`what writes to a full disk ${NEEDS_ROOT}`, () => {
  let disk: SmallDisk;
  beforeEach(() => {
    disk = smallDisk(SMALL_BYTES);
  });
  afterEach(() => disk.remove());
  const at = (name: string): string => path.join(disk.path, name);

  test('the embedded bus refuses, says so once, keeps its offsets, and takes the next record in their order', async () => {
    const said: string[] = [];
    const open = () => busOn(at('bus.sqlite'), said);
    const bus = open();
    const publish = async (n: number): Promise<string> => {
      const value = new Uint8Array(8000).fill(n);
      const [outcome] = await bus.publish([{ ...MESSAGE, value }]);
      return outcome!.outcome;
    };
    let kept = 0;
    while ((await publish(kept)) === 'ok') kept++;
    for (let again = 0; again < 3; again++) expect(await publish(kept)).toBe('unavailable');
    await bus.commit('a', 'g', [2]);
    expect(said).toEqual([expect.stringMatching(/bus\.sqlite: the disk is full; make room/)]);
    expect(await bus.ends('a', 'g')).toEqual({ ends: [kept], committed: [2] });
    await bus.close();
    const second = open();
    expect((await second.ends('a', 'g')).ends).toEqual([kept]);
    said.splice(0);
    expect(await second.publish([{ ...MESSAGE, value: new Uint8Array(60_000) }])).toEqual([
      { outcome: 'unavailable' },
    ]);
    await second.close();
    disk.free();
  });

  test('the embedded bus goes on by itself when there is room, and says that, too', async () => {
    const said: string[] = [];
    const bus = busOn(at('bus.sqlite'), said);
    const value = new Uint8Array(30_000);
    const outcome = async () => (await bus.publish([{ ...MESSAGE, value }]))[0];
    expect(await outcome()).toMatchObject({ outcome: 'ok', offset: 0 });
    disk.fill();
    expect(await outcome()).toEqual({ outcome: 'unavailable' });
    expect(await outcome()).toEqual({ outcome: 'unavailable' });
    disk.free();
    expect(await outcome()).toMatchObject({ outcome: 'ok', offset: 1 });
    expect(said).toEqual([expect.stringMatching(/the disk is full/), 'recovered']);
    const page = await bus.fetch('a', 'g', [], 10);
    expect(page).toMatchObject({ outcome: 'ok', positions: [2] });
    await bus.close();
  });

  test('a validator whose vote has no room has not voted: the record before it is the one that counts', async () => {
    const file = at('safety.sqlite');
    const store = openReplicaStore(file, crypto);
    const kept = await untilFull((n) => store.write(safetyRecordOf(n + 1), []));
    expect(kept).toBeGreaterThan(0);
    store.close();
    const again = openReplicaStore(file, crypto);
    expect(again.load().durable?.lastActedView).toBe(kept);
    again.close();
  });

  test('a chain that cannot grow keeps every block that was committed, and goes on with the next', async () => {
    const folder = at('executor');
    mkdirSync(folder);
    const genesis = testGenesis();
    const chain = await committedChain(genesis, [[]], folder);
    const kept = await untilFull((n) => chain.grow([anomalyTx({}, { counter: n + 1 })]));
    chain.host.close();
    const file = openChainFile(path.join(folder, 'chain.sqlite'));
    expect([file.head(), [...file.blocks()].length]).toEqual([kept + 1, kept + 1]);
    file.close();
  });

  test('a log on a full disk stops nobody, keeps a bounded part of its lines and counts the others', () => {
    const file = at('node.log');
    const fd = openSync(file, 'a');
    const log = openLog('test', 'info', fd);
    log.write('info', 'a', 'before');
    disk.fill();
    const text = 'x'.repeat(1000);
    for (let n = 0; n < 2000; n++) log.write('info', 'a', text, { n });
    log.flush();
    disk.free();
    log.flush();
    log.write('info', 'a', 'after');
    closeSync(fd);
    const lines = readFileSync(file, 'utf8').trim().split('\n');
    const told = lines.map((line) => JSON.parse(line) as { msg: string; lost?: number });
    expect(told[0]!.msg).toBe('before');
    const lost = told.find(({ msg }) => /could not be written/.test(msg))?.lost ?? 0;
    expect(lost).toBeGreaterThan(0);
    expect(told.filter(({ msg }) => msg === text || msg === 'after').length + lost).toBe(2001);
  });

  test('the outbox of the signer has whole detections, each once', async () => {
    const { mailbox, open, accept } = signerIn(at('signer'));
    const first = await open();
    const kept = await untilFull((n) => accept(first, n));
    expect(mailbox.filter((one) => one.kind === 'accepted')).toHaveLength(kept);
    await first.close?.();
    mailbox.splice(0);
    disk.free();
    const again = await open();
    await again.commands.load({});
    const [loaded] = mailbox;
    if (loaded?.kind !== 'loaded') throw new Error(`got ${loaded?.kind}`);
    expect(loaded.waiting.map(({ seq }) => seq)).toEqual([...Array(kept).keys()]);
    await again.close?.();
  });

  test('the brake is refused where it cannot be written down, and leaves nothing half', async () => {
    const dataDir = at('data');
    mkdirSync(dataDir);
    disk.fill();
    const pull = () =>
      cybermesh(['panic', 'config/local.yaml', '--set', `node.dataDir=${dataDir}`]);
    const refused = await pull();
    expect(refused).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/panic\.log: the disk is full; make room/),
    });
    expect(readPanic(dataDir, Date.now())).toBe(undefined);
    expect(existsSync(path.join(dataDir, 'panic.json'))).toBe(false);
    disk.free();
    expect((await pull()).code).toBe(0);
    expect(readPanic(dataDir, Date.now())?.untilMs).toBeGreaterThan(Date.now());
    expect(readFileSync(path.join(dataDir, 'panic.log'), 'utf8')).toContain('"event":"panic"');
  });
});

describe.skipIf(!canMount)(`PGlite on a full disk ${NEEDS_ROOT}`, () => {
  test('it says which and what to do; with room SQL holds what the chain holds', async () => {
    const disk = smallDisk(128 << 20);
    const chain = await sqlChain();
    for (let i = 0; i < 20; i++) chain.grow([anomalyTx({}, { counter: 100 + i })]);
    const folder = path.join(disk.path, 'persistence');
    mkdirSync(folder);
    const open = () => sqlAdapter('embedded', {}, folder);
    try {
      const first = await open();
      await first.commands.open(null);
      await first.commands.project(chain.read(1, 2));
      expect(first.mailbox.at(-1)).toMatchObject({ kind: 'projected', height: 2 });
      disk.fill();
      await until(
        async () => {
          await first.commands.project(chain.read(3));
          return first.mailbox.at(-1)?.kind === 'unavailable';
        },
        30_000,
        5,
      );
      expect(first.mailbox.at(-1)).toMatchObject({
        reason: expect.stringMatching(/embedded database: .*disk.*make room/),
      });
      disk.free();
      await first.commands.open(null);
      await first.commands.project(chain.read(1));
      expect(first.mailbox.at(-1)).toMatchObject({ kind: 'projected', height: 24 });
      await first.close?.();
    } finally {
      chain.host.close();
      disk.remove();
    }
  }, 120_000);

  test('opened on a disk that is full or read-only it is left as it is, not made anew; then it opens', async () => {
    const disk = smallDisk(128 << 20);
    const chain = await sqlChain();
    const folder = path.join(disk.path, 'persistence');
    mkdirSync(folder);
    const opened = async (meanwhile = (): void => undefined) => {
      const adapter = await sqlAdapter('embedded', {}, folder);
      meanwhile();
      await adapter.commands.open(null);
      await adapter.close?.();
      return adapter.mailbox.at(-1);
    };
    const files = (): number => statSync(path.join(folder, EMBEDDED_FOLDER)).ino;
    try {
      expect(await opened()).toMatchObject({ kind: 'opened' });
      const before = files();
      disk.fill();
      const reason = expect.stringMatching(/embedded database: .*: the disk is full; make room/);
      expect(await opened()).toMatchObject({ kind: 'unavailable', reason });
      expect(files()).toBe(before);
      disk.free();
      expect(await opened(() => disk.readOnly(true))).toMatchObject({
        kind: 'unavailable',
        reason: expect.stringMatching(/embedded database: .*: the disk is read-only; .*repair/),
      });
      expect(files()).toBe(before);
      disk.readOnly(false);
      expect(await opened()).toMatchObject({ kind: 'opened' });
      expect(files()).toBe(before);
    } finally {
      chain.host.close();
      disk.remove();
    }
  }, 120_000);
});
