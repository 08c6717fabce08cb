import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { check } from '#actors/ingest/check.ts';
import { config } from '#actors/ingest/config.ts';
import { encodeGenesis } from '#proto/genesis.ts';
import type { TopologyView } from '#runtime/topology/view.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';

const viewOf = (settings: object, genesisFile: string): TopologyView => ({
  file: '/t.yaml',
  node: { name: 't', dataDir: '/data' },
  genesis: { create: true, file: genesisFile, sha256: '' },
  database: { url: '' },
  sections: {},
  actors: [
    {
      path: 'v1.ingest',
      name: 'ingest',
      actor: 'ingest',
      branch: ['v1'],
      config: config.parse({ name: 'v1', key: 'v1.pem', ...settings }),
      thread: 'v1.replica',
    },
  ],
});

test('the defaults fit together', () => {
  expect(check(viewOf({}, '/nowhere.json'))).toEqual([]);
});

test('a block limit above the mempool’s is refused by the name of the setting', () => {
  const messages = check(viewOf({ poolTransactionsMax: 499, poolBytesMax: 1 << 20 }, '/nowhere'));
  expect(messages.map((one) => one.path)).toEqual([
    'v1.ingest.config.poolTransactionsMax',
    'v1.ingest.config.poolBytesMax',
  ]);
});

test('the limits of the genesis that is there count', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'cybermesh-')), 'genesis.json');
  writeFileSync(file, encodeGenesis(testGenesis({ blockTxMax: 2000 })));
  expect(check(viewOf({}, file))).toMatchObject([
    { message: 'a block holds up to 2000 transactions, this mempool only 1000' },
  ]);
});
