/** What writes to a disk that becomes read-only while it is open: named with the remedy, nothing lost, nothing half. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openReplicaStore } from '#actors/replica/store.ts';
import { openChainFile } from '#native/chain-file.ts';
import { crypto } from '#native/crypto.ts';
import { openStore } from '#native/store.ts';
import { takeLock } from '#runtime/cli/lock.ts';
import { serveCalls } from '#runtime/control/local-calls.ts';
import { crashReason } from '#runtime/thread/host.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { committedChain } from '#test/kit/committed-chain.ts';
import { busOn, safetyRecordOf, signerIn } from '#test/kit/disk-writers.ts';
import {
  canFailDisk,
  type FailingDisk,
  failingDisk,
  NEEDS_LOOP_DISK,
} from '#test/kit/failing-disk.ts';
import { anomalyTx } from '#test/kit/messages.ts';
import { giveDatabase } from '#test/kit/new-database.ts';
import { sqlAdapter, sqlChain } from '#test/kit/sql-chain.ts';

const DISK_BYTES = 192 << 20;

describe.skipIf(!canFailDisk)(
  `a disk that becomes read-only in the middle ${NEEDS_LOOP_DISK}`,
  () => {
    let disk: FailingDisk;
    beforeEach(() => {
      disk = failingDisk(DISK_BYTES);
    });
    afterEach(() => disk.remove());
    const at = (name: string): string => path.join(disk.path, name);

    /** What is said of `file`; its actor is started again for as long as it takes, as on a full disk. */
    const refusal = (name: string) =>
      expect.objectContaining({
        name: 'DiskReadOnlyError',
        message:
          `${at(name)}: the disk is read-only; look in the kernel's log for why, ` +
          `then repair or remount the disk that holds ${path.dirname(at(name))}`,
      });
    const thrownBy = async (work: () => unknown): Promise<unknown> => {
      try {
        await work();
      } catch (error) {
        expect(crashReason(error)).toBe('no-room');
        return error;
      }
      throw new Error('nothing was thrown');
    };

    test('the embedded bus refuses, says which and what to do once, gives what it has, and goes on where it was', async () => {
      const said: string[] = [];
      const open = () => busOn(at('bus.sqlite'), said);
      const bus = open();
      const publish = async (to: typeof bus) => {
        const value = new Uint8Array(8000);
        return (await to.publish([{ topic: 'a', key: 'k', headers: {}, value }]))[0];
      };
      for (const offset of [0, 1]) {
        expect(await publish(bus)).toMatchObject({ outcome: 'ok', offset });
      }
      disk.fail();
      for (let again = 0; again < 3; again++) {
        expect(await publish(bus)).toEqual({ outcome: 'unavailable' });
      }
      expect(said).toEqual([refusal('bus.sqlite').sample.message]);
      const page = await bus.fetch('a', 'g', [], 10);
      expect(page).toMatchObject({ outcome: 'ok', records: [{ offset: 0 }, { offset: 1 }] });
      await bus.commit('a', 'g', [2]);
      await bus.close();
      disk.repair();
      const second = open();
      expect(await publish(second)).toMatchObject({ outcome: 'ok', offset: 2 });
      await second.close();
    });

    test('a validator whose vote cannot be written has not voted, and votes again on the mended disk', async () => {
      const open = () => openReplicaStore(at('safety.sqlite'), crypto);
      const store = open();
      store.write(safetyRecordOf(1), []);
      disk.fail();
      expect(await thrownBy(() => store.write(safetyRecordOf(2), []))).toEqual(
        refusal('safety.sqlite'),
      );
      expect(store.load().durable?.lastActedView).toBe(1);
      store.close();
      expect(await thrownBy(open)).toEqual(refusal('safety.sqlite'));
      disk.repair();
      const again = open();
      expect(again.load().durable?.lastActedView).toBe(1);
      again.write(safetyRecordOf(2), []);
      expect(again.load().durable?.lastActedView).toBe(2);
      again.close();
    });

    test('a chain that cannot grow keeps every block, gives them to who asks, and grows on the mended disk', async () => {
      const folder = at('executor');
      mkdirSync(folder);
      const genesis = testGenesis();
      const chain = await committedChain(genesis, [[]], folder);
      chain.grow([anomalyTx({}, { counter: 1 })]);
      disk.fail();
      const grow = () => chain.grow([anomalyTx({}, { counter: 2 })]);
      expect(await thrownBy(grow)).toEqual(refusal('executor/chain.sqlite'));
      chain.host.close();
      disk.repair();
      const file = openChainFile(path.join(folder, 'chain.sqlite'));
      expect([file.head(), [...file.blocks()].length]).toEqual([2, 2]);
      file.close();
    });

    test('a file that alone may not be written to is not taken for a disk: it is refused as such', () => {
      const file = at('a.sqlite');
      const open = () => openStore(file, { migrations: ['CREATE TABLE a (b INTEGER) STRICT'] });
      open().close();
      execFileSync('chattr', ['+i', file]);
      const fault = expect.objectContaining({ code: 'read-only', name: 'StoreError' });
      expect(() => openStore(file, { migrations: ['', 'SELECT 1'] })).toThrow(fault);
      execFileSync('chattr', ['-i', file]);
      open().close();
    });

    test('a node that stops on it leaves its lock and its sockets, and the next one takes them over', async () => {
      const lockOf = () => {
        const lock = takeLock(disk.path, Date.now());
        if (!lock.ok) throw new Error(lock.error);
        return lock.value;
      };
      const [lock, calls] = [lockOf(), await serveCalls(at('control.sock'), {})];
      execFileSync('sync', ['-f', disk.path]);
      disk.fail();
      await calls.close();
      lock.release();
      const refused = takeLock(disk.path, Date.now());
      expect(refused).toMatchObject({
        error: expect.stringMatching(/its disk is read-only: .*repair or remount it/),
      });
      disk.repair();
      // A process with the number of one that has died, and another birth.
      const held = JSON.parse(readFileSync(at('node.lock'), 'utf8')) as object;
      writeFileSync(at('node.lock'), JSON.stringify({ ...held, bornAt: '1' }));
      lockOf().release();
      await (await serveCalls(at('control.sock'), {})).close();
    });

    test('the outbox of the signer takes a detection whole or not at all, and goes on with the next', async () => {
      const { mailbox, open, accept } = signerIn(at('signer'));
      const first = await open();
      await accept(first, 0);
      disk.fail();
      expect(await thrownBy(() => accept(first, 1))).toEqual(refusal('signer/signer.sqlite'));
      await first.close?.();
      expect(await thrownBy(open)).toEqual(refusal('signer/signer.sqlite'));
      disk.repair();
      mailbox.splice(0);
      const again = await open();
      await accept(again, 1);
      await again.commands.load({});
      const loaded = mailbox.at(-1);
      if (loaded?.kind !== 'loaded') throw new Error(`got ${loaded?.kind}`);
      expect(loaded.waiting.map(({ seq }) => seq)).toEqual([0, 1]);
      await again.close?.();
    });

    test('the embedded database has the remedy said after its own panic, hangs nobody, and holds what the chain holds in the end', async () => {
      const chain = await sqlChain();
      for (let i = 0; i < 20; i++) chain.grow([anomalyTx({}, { counter: 100 + i })]);
      await giveDatabase(disk.path);
      const open = () => sqlAdapter('embedded', {}, at('persistence'));
      const first = await open();
      await first.commands.open(null);
      await first.commands.project(chain.read(1, 2));
      expect(first.mailbox.at(-1)).toMatchObject({ kind: 'projected', height: 2 });
      const second = await open();
      disk.fail();
      const unavailable = {
        kind: 'unavailable',
        reason: expect.stringMatching(/embedded database: .*disk is read-only.*repair/i),
      };
      const project = () => first.commands.project(chain.read(3));
      expect(await thrownBy(project)).toEqual(refusal('persistence/pglite'));
      expect(first.mailbox.at(-1)).toMatchObject(unavailable);
      await first.close?.();
      await second.commands.open(null);
      expect(second.mailbox.at(-1)).toMatchObject(unavailable);
      disk.repair();
      await second.commands.open(null);
      await second.commands.project(chain.read(1));
      expect(second.mailbox.at(-1)).toMatchObject({ kind: 'projected', height: 24 });
      await second.close?.();
      chain.host.close();
    }, 120_000);
  },
);
