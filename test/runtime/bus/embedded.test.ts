import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openEmbedded } from '#runtime/bus/embedded.ts';
import { busContract } from './contract.ts';

const folder = mkdtempSync(join(tmpdir(), 'cybermesh-bus-'));
const open = (name: string, topicBytesMax = 1 << 20) =>
  openEmbedded({
    file: join(folder, `${name}.sqlite`),
    topics: ['a', 'b'],
    partitions: 3,
    recordBytesMax: 65_536,
    topicBytesMax,
    now: () => 1,
    failed: (reason) => {
      throw new Error(reason);
    },
    recovered: () => undefined,
  });

busContract('embedded', async (name) => open(name));

test('a full topic drops what every group has finished, then refuses', async () => {
  const bus = open('full', 50_000);
  const message = { topic: 'a', key: 'x', value: new Uint8Array(20_000), headers: {} };
  expect(await bus.publish([message, message, message])).toMatchObject([
    { outcome: 'ok' },
    { outcome: 'ok' },
    { outcome: 'unavailable' },
  ]);
  const got = await bus.fetch('a', 'g', [], 10);
  if (got.outcome !== 'ok') throw new Error(got.outcome);
  await bus.commit('a', 'g', got.positions);
  expect(await bus.publish([message])).toMatchObject([{ outcome: 'ok', offset: 2 }]);
  await bus.close();
});
