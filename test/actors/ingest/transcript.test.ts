/** How a message goes through ingest, as a transcript: `>` is what it receives, indented what it does. */
import { expect, test } from 'vitest';
import { crypto } from '#native/crypto.ts';
import { utf8 } from '#proto/bytes.ts';
import { encodeTransactions, txIdBytes } from '#proto/consensus/transaction.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import { ingestHost } from '#test/kit/ingest-host.ts';
import { anomalyTx } from '#test/kit/messages.ts';

const lines = (text: string): readonly string[] =>
  text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => line.slice(4));

test('a start reads nothing before the chain has said who may speak', () => {
  const host = ingestHost();
  expect(host.transcript).toEqual(
    lines(`
      io open
      ask executor context
    > opened
    > informed
      ask bus fetch
      ask bus fetch
      ask bus fetch
    `),
  );
});

test('a good message: signatures, then the chain, then the pool, then everybody is told', () => {
  const host = ingestHost();
  host.transcript.splice(0);
  const tx = anomalyTx();
  host.message(tx);
  host.send({
    kind: 'included',
    height: 1,
    timeMs: host.driver.nowMs,
    ids: [txIdBytes(tx, crypto)],
  });
  expect(host.transcript).toEqual(
    lines(`
    > fetched
      io verify
    > verifiedBatch
      ask executor known
    > knownBatch
      ask bus fetch
      tell executor verified
      tell replica pending
      io sign
    > included
      tell replica pending
      tell bus commit
    `),
  );
});

test('a bad message: a dead letter first, and only then the mark moves', () => {
  const host = ingestHost();
  host.transcript.splice(0);
  host.append(TOPICS.anomalies, utf8('bad'));
  expect(host.transcript).toEqual(
    lines(`
    > fetched
      io verify
    > verifiedBatch
      ask bus fetch
      ask bus publish
    > published
      tell bus commit
    `),
  );
});

test('a forwarded message is told to the executor and the replica, not to peers again', () => {
  const host = ingestHost();
  host.transcript.splice(0);
  host.send({ kind: 'forwarded', transactions: encodeTransactions([anomalyTx()]), from: 'v2' });
  expect(host.transcript).toEqual(
    lines(`
    > forwarded
      io verify
    > verifiedBatch
      ask executor known
    > knownBatch
      tell executor verified
      tell replica pending
    `),
  );
});
