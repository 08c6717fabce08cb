import { mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { config } from '#actors/signer/config.ts';
import { io } from '#actors/signer/io.ts';
import type { Self } from '#actors/signer/messages.ts';
import { writeKeyPair } from '#native/crypto.ts';
import type { IoPort } from '#runtime/actor.ts';
import { detection } from './incidents.ts';

const START_MS = 1_800_000_000_000;

const port = (folder: string) => {
  const delivered: Self[] = [];
  const given = {
    deliver: (message: Self): boolean => delivered.push(message) > 0,
    dataDir: folder,
    node: { dataDir: folder },
  };
  return { delivered, port: given as unknown as IoPort<Self> };
};

const newFolder = (): string => {
  const folder = mkdtempSync(path.join(tmpdir(), 'signer-io-'));
  mkdirSync(path.join(folder, 'keys'));
  writeKeyPair(path.join(folder, 'keys', 'detector.pem'));
  return folder;
};

test('detections that arrive together are accepted in their order and wait after a restart', async () => {
  const folder = newFolder();
  const first = port(folder);
  const adapter = await io(config.parse({}), first.port);
  await adapter.commands.load({});
  const sinceMs = START_MS - 1_000;
  const accepts = [1, 2, 3].map((n) =>
    adapter.commands.accept({ detection: detection(n), epoch: 1, seq: n, room: true, sinceMs }),
  );
  await Promise.all(accepts);
  expect(first.delivered.map(({ kind }) => kind)).toEqual([
    'loaded',
    'accepted',
    'accepted',
    'accepted',
  ]);
  await adapter.close?.();

  const second = port(folder);
  const again = await io(config.parse({}), second.port);
  await again.commands.load({});
  const [loaded] = second.delivered;
  if (loaded?.kind !== 'loaded') throw new Error(`got ${loaded?.kind}`);
  expect(loaded.first).toBe(false);
  expect(loaded.waiting.map(({ seq }) => seq)).toEqual([1, 2, 3]);
  await again.close?.();
});

test('what is remembered as published is a duplicate until the ledger forgets it', async () => {
  const folder = newFolder();
  const { delivered, port: given } = port(folder);
  const adapter = await io(config.parse({}), given);
  const accept = (sinceMs: number) =>
    adapter.commands.accept({ detection: detection(1), epoch: 1, seq: 1, room: true, sinceMs });
  await accept(0);
  await adapter.commands.finish({ row: 1, fate: 'published', atMs: START_MS });
  await accept(START_MS - 1_000);
  await adapter.commands.prune({ beforeMs: START_MS, countMax: 10 });
  await accept(START_MS - 1_000);
  const outcomes = delivered.map((one) =>
    one.kind === 'accepted' ? one.accepted.outcome : one.kind,
  );
  expect(outcomes).toEqual(['queued', 'finished', 'duplicate', 'queued']);
  await adapter.close?.();
});

test('without its key the signer does not start, and says which file is missing', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'signer-io-'));
  expect(() => io(config.parse({}), port(folder).port)).toThrow(/detector\.pem/);
});
