/**
 * The replica's own disk: the genesis certificate, the safety record and the blocks above the head, in one SQLite file
 * with synchronous=FULL. `write` returns after the fsync: only then may a signature leave.
 */
import { openStore } from '#native/store.ts';
import {
  decodeGenesisCertificate,
  encodeGenesisCertificate,
  type GenesisCertificate,
} from '#proto/consensus/genesis-ready.ts';
import { blockHash } from '#proto/consensus/header.ts';
import type { Crypto } from '#proto/crypto.ts';
import type { StoredBlock } from './machine/events.ts';
import {
  type DurableRecord,
  decodeRecord,
  decodeStoredBlock,
  encodeRecord,
  encodeStoredBlock,
} from './machine/record.ts';

const MIGRATIONS = [
  `CREATE TABLE safety (id INTEGER PRIMARY KEY CHECK (id = 1), record BLOB NOT NULL);
   CREATE TABLE blocks (hash TEXT PRIMARY KEY, height INTEGER NOT NULL, body BLOB NOT NULL);
   CREATE INDEX blocks_by_height ON blocks (height);`,
  'CREATE TABLE genesis (id INTEGER PRIMARY KEY CHECK (id = 1), certificate BLOB NOT NULL);',
];

export type ReplicaStore = {
  /** null on the very first start with this folder. Throws when a record is there and is not readable. */
  load(): { readonly durable: DurableRecord | null; readonly blocks: readonly StoredBlock[] };
  /** The newest record, and every block that came with it or before. */
  write(record: DurableRecord, blocks: readonly StoredBlock[]): void;
  /** null before the genesis ceremony is over. Throws when one is there and is not readable. */
  certificate(): GenesisCertificate | null;
  keepCertificate(certificate: GenesisCertificate): void;
  close(): void;
};

/** A record that does not read is never taken for none: the replica could vote twice. */
const recordOf = (file: string, bytes: Uint8Array, crypto: Crypto): DurableRecord => {
  const record = decodeRecord(bytes, crypto);
  if (record.ok) return record.value;
  throw new Error(`${file}: the safety record is ${record.error}; this validator needs a new key`);
};

export const openReplicaStore = (file: string, crypto: Crypto): ReplicaStore => {
  const store = openStore(file, { migrations: MIGRATIONS });
  const read = store.statement<[], { readonly record: Uint8Array }>('SELECT record FROM safety');
  const blocks = store.statement<[number], { readonly body: Uint8Array }>(
    'SELECT body FROM blocks WHERE height > ? ORDER BY height',
  );
  const put = store.statement<[Uint8Array]>(
    `INSERT INTO safety VALUES (1, ?) ON CONFLICT (id) DO UPDATE SET record = excluded.record`,
  );
  const putBlock = store.statement<[string, number, Uint8Array]>(
    'INSERT INTO blocks VALUES (?, ?, ?) ON CONFLICT (hash) DO NOTHING',
  );
  const prune = store.statement<[number]>('DELETE FROM blocks WHERE height <= ?');
  const readCertificate = store.statement<[], { readonly certificate: Uint8Array }>(
    'SELECT certificate FROM genesis',
  );
  const putCertificate = store.statement<[Uint8Array]>(
    'INSERT INTO genesis VALUES (1, ?) ON CONFLICT (id) DO NOTHING',
  );
  let pruned = -1;
  return {
    load: () => {
      const row = read.get();
      const durable = row === undefined ? null : recordOf(file, row.record, crypto);
      const stored = blocks.all(durable?.committedHeight ?? 0).flatMap(({ body }) => {
        const block = decodeStoredBlock(body);
        return block.ok ? [block.value] : []; // a block can be fetched again from any peer
      });
      return { durable, blocks: stored };
    },
    write: (record, added) =>
      store.transaction(() => {
        for (const block of added) {
          const hash = blockHash(block.block.header, crypto);
          putBlock.run(hash, block.block.header.height, encodeStoredBlock(block));
        }
        put.run(encodeRecord(record, crypto));
        if (record.committedHeight > pruned) {
          pruned = record.committedHeight;
          prune.run(pruned);
        }
      }),
    certificate: () => {
      const row = readCertificate.get();
      if (row === undefined) return null;
      const certificate = decodeGenesisCertificate(row.certificate);
      if (certificate.ok) return certificate.value;
      throw new Error(`${file}: the genesis certificate is ${certificate.error}`);
    },
    keepCertificate: (certificate) => {
      putCertificate.run(encodeGenesisCertificate(certificate));
    },
    close: () => store.close(),
  };
};
