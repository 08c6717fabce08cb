import { expect, test } from 'vitest';
import { crypto } from '#native/crypto.ts';
import { hex, utf8 } from '#proto/bytes.ts';
import { encodeTransactions, type Transaction, txIdBytes } from '#proto/consensus/transaction.ts';
import { encodeAnomaly } from '#proto/wire/anomaly.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import { GENESIS_TIME_MS, keys, testGenesis } from '#test/kit/chain-genesis.ts';
import { type IngestHost, ingestHost, letters } from '#test/kit/ingest-host.ts';
import { anomalyOf, anomalyTx, policyTx } from '#test/kit/messages.ts';
import { recordsIn } from '#test/kit/test-bus.ts';

const { anomalies: ANOMALIES, policy: POLICIES } = TOPICS;

const commit = (host: IngestHost, txs: readonly Transaction[], height = 1): void =>
  host.send({
    kind: 'included',
    height,
    timeMs: host.driver.nowMs,
    ids: txs.map((tx) => txIdBytes(tx, crypto)),
  });

const reports = (host: IngestHost) =>
  host.seen
    .filter((one) => one.effect === 'report')
    .map((one) => [one.anomalyId, one.evidenceAccepted, one.rejectionReason]);

const told = (host: IngestHost, kind: string) =>
  host.seen
    .map((one) => one.message as { kind?: string; [field: string]: unknown } | undefined)
    .filter((message) => message?.kind === kind);

const numbered = (n: number, tsMs?: number) =>
  anomalyTx({ flows: n }, { counter: n, ...(tsMs !== undefined && { tsMs }) });

test('a good message is admitted, reported, and finished at its commit', () => {
  const host = ingestHost();
  const tx = anomalyTx();
  host.message(tx);
  expect(host.take()).toEqual([tx]);
  expect(reports(host)).toEqual([[anomalyOf().id, true, '']]);
  expect(told(host, 'pending')).toMatchObject([{ count: 1 }]);
  expect(told(host, 'forward')).toHaveLength(0);
  expect(told(host, 'verified')).toHaveLength(1);
  expect(host.mark(ANOMALIES)).toBe(0);
  commit(host, [tx]);
  expect(host.take()).toEqual([]);
  expect(host.mark(ANOMALIES)).toBe(1);
  expect(told(host, 'pending').at(-1)).toMatchObject({ count: 0 });
});

test('peers are sent what no block has taken for a second, once, and nothing that was committed', () => {
  const host = ingestHost();
  const [fast, slow] = [numbered(1), numbered(2)];
  host.message(fast);
  host.message(slow);
  commit(host, [fast]);
  host.advance(900);
  expect(told(host, 'forward')).toEqual([]);
  host.advance(3000);
  expect(told(host, 'forward')).toEqual([
    { kind: 'forward', transactions: encodeTransactions([slow]) },
  ]);
});

test('each fault goes to the DLQ with its code, and good messages go on', () => {
  const host = ingestHost();
  const event = anomalyOf({ flows: 50 }, { counter: 50 });
  const altered = (over: object) => encodeAnomaly({ ...event, ...over });
  const faults: [string, Uint8Array][] = [
    ['malformed', utf8('no protobuf')],
    ['too-large', new Uint8Array(1024 * 1024 + 1)],
    ['bad-structure', altered({ severity: 0 })],
    ['producer-mismatch', altered({ pubkey: keys.stranger.publicKey })],
    ['bad-signature', altered({ nonce: new Uint8Array(16) })],
    ['unknown-producer', anomalyTx({}, { key: keys.stranger }).bytes],
    ['unknown-producer', anomalyTx({}, { key: keys.operator }).bytes],
    ['content-hash', altered({ payload: utf8('{}') })],
    ['bad-id', altered({ id: 'someone-else' })],
    ['envelope-mismatch', altered({ severity: 9 })],
    ['timestamp', numbered(60, GENESIS_TIME_MS - 400_000).bytes],
  ];
  for (const [, bytes] of faults) host.append(ANOMALIES, bytes);
  const good = anomalyTx();
  host.message(good);
  expect(letters(host)).toEqual(faults.map(([code], offset) => `${code}@${offset}`));
  expect(host.take()).toEqual([good]);
  expect(host.mark(ANOMALIES)).toBe(faults.length);
  const originals = recordsIn(host.bus, TOPICS.dlq);
  expect(originals.map((one) => hex(one.value))).toEqual(faults.map(([, bytes]) => hex(bytes)));
});

test('only a rejection that is the producer’s own doing is reported', () => {
  const host = ingestHost();
  const event = anomalyOf();
  host.append(ANOMALIES, encodeAnomaly({ ...event, severity: 9 }));
  host.append(ANOMALIES, encodeAnomaly({ ...event, payload: utf8('{}') }));
  expect(reports(host)).toEqual([]);
  const stale = anomalyOf({}, { tsMs: GENESIS_TIME_MS - 400_000 });
  host.append(ANOMALIES, encodeAnomaly(stale));
  expect(reports(host)).toEqual([[stale.id, false, 'timestamp']]);
});

test('the same record again is silent; the same message elsewhere is replayed and changes nothing', () => {
  const host = ingestHost();
  const tx = anomalyTx();
  host.message(tx);
  host.redeliver(ANOMALIES, 0);
  expect(letters(host)).toEqual([]);
  expect(host.take()).toHaveLength(1);
  host.message(tx);
  expect(letters(host)).toEqual(['replayed@1']);
  expect(reports(host)).toHaveLength(1);
  commit(host, [tx]);
  expect(host.mark(ANOMALIES)).toBe(2);
});

test('a nonce with other content is a conflict, known content under another nonce a duplicate', () => {
  const host = ingestHost();
  host.message(anomalyTx({ flows: 1 }, { counter: 1 }));
  host.message(anomalyTx({ flows: 2 }, { counter: 1 }));
  host.message(anomalyTx({ flows: 1 }, { counter: 2 }));
  expect(letters(host)).toEqual(['nonce-conflict@1', 'duplicate@2']);
  expect(host.take()).toHaveLength(1);
});

test('what the chain has already is finished at once and not admitted again after a restart', () => {
  const host = ingestHost();
  const event = anomalyOf();
  host.known.add(hex(event.contentHash));
  host.append(ANOMALIES, encodeAnomaly(event));
  expect([host.take(), letters(host), host.mark(ANOMALIES)]).toEqual([[], [], 1]);
  expect(reports(host)).toEqual([[event.id, true, '']]);
});

test('a peer’s transaction is verified in full; its record makes it our own', () => {
  const host = ingestHost();
  const good = anomalyTx();
  const bad = anomalyTx({}, { key: keys.stranger, counter: 7 });
  const garbage: Transaction = { kind: 'anomaly', bytes: utf8('x') };
  const transactions = encodeTransactions([bad, garbage, good]);
  host.send({ kind: 'forwarded', transactions, from: 'v2' });
  expect(host.take()).toEqual([good]);
  expect(host.counters.forwarded_rejected).toBe(2);
  expect(told(host, 'forward')).toEqual([]);
  expect([letters(host), reports(host)]).toEqual([[], []]);
  host.message(good);
  expect(letters(host)).toEqual([]);
  expect(reports(host)).toHaveLength(1);
  expect(host.take()).toEqual([good]);
  commit(host, [good]);
  expect(host.mark(ANOMALIES)).toBe(1);
});

test('a record of what came by a peer and is committed already is finished without a letter', () => {
  const host = ingestHost();
  const tx = anomalyTx();
  host.send({ kind: 'forwarded', transactions: encodeTransactions([tx]), from: 'v2' });
  commit(host, [tx]);
  host.known.add(hex(anomalyOf().contentHash));
  host.message(tx);
  expect([letters(host), host.take(), host.mark(ANOMALIES)]).toEqual([[], [], 1]);
});

test('a full pool makes the topic wait, and loses nothing', () => {
  const host = ingestHost({ poolTransactionsMax: 2 });
  const txs = [1, 2, 3, 4].map((n) => numbered(n));
  for (const tx of txs) host.message(tx);
  expect(host.take()).toHaveLength(2);
  expect(letters(host)).toEqual([]);
  for (let height = 1; height <= 2; height++) {
    commit(host, host.take(), height);
    host.advance(200);
  }
  expect(host.counters.stage_admitted).toBe(4);
  commit(host, host.take(), 3);
  expect(host.mark(ANOMALIES)).toBe(4);
});

test('a producer over its quota waits for the next minute', () => {
  const genesis = testGenesis();
  const producers = genesis.producers.map((one) => ({ ...one, quotaPerMinute: 2 }));
  const host = ingestHost({}, { ...genesis, producers });
  for (const n of [1, 2, 3]) host.message(numbered(n));
  expect(host.take()).toHaveLength(2);
  host.advance(60_000);
  expect(host.take()).toHaveLength(3);
  expect(letters(host)).toEqual([]);
});

/** A second detector beside the first, which may send two messages a minute only. */
const twoDetectors = () => {
  const genesis = testGenesis();
  const [detector] = genesis.producers;
  const second = { ...detector!, name: 'second', publicKey: hex(keys.stranger.publicKey) };
  const producers = [{ ...detector!, quotaPerMinute: 2 }, second, ...genesis.producers.slice(1)];
  return { ...genesis, producers };
};
const idsOf = (txs: readonly Transaction[]) => new Set(txs.map((tx) => hex(txIdBytes(tx, crypto))));
const bySecond = (n: number) => anomalyTx({ flows: n }, { counter: n, key: keys.stranger });

test('a producer over its quota does not slow another one, and loses nothing itself', () => {
  const host = ingestHost({}, twoDetectors());
  const flood = Array.from({ length: 300 }, (_, k) => numbered(k + 1));
  for (const tx of flood) host.message(tx);
  const others = [501, 502, 503].map(bySecond);
  for (const tx of others) host.message(tx);
  expect(idsOf(host.take())).toEqual(idsOf([...flood.slice(0, 2), ...others]));
  commit(host, host.take());
  // Not finished before they are in a block: a restart reads them again.
  expect(host.mark(ANOMALIES)).toBe(2);
  host.advance(60_000);
  // In their order, whatever came behind them.
  expect(idsOf(host.take())).toEqual(idsOf(flood.slice(2, 4)));
  expect(letters(host)).toEqual([]);
});

test('what waits for a quota is bounded: at the bound the topic waits', () => {
  const bytes = numbered(1).bytes.length;
  const host = ingestHost({ heldBytesMax: 20 * bytes, batchRecords: 8 }, twoDetectors());
  for (let n = 1; n <= 300; n++) host.message(numbered(n));
  host.message(bySecond(501));
  expect(host.take()).toHaveLength(2);
  const { held } = host.state.lanes.get(ANOMALIES)!;
  expect(held.length).toBeGreaterThanOrEqual(20);
  expect(held.length).toBeLessThanOrEqual(20 + 8);
  expect(host.counters.back_pressure).toBeGreaterThan(0);
});

test('the rate of admissions is bounded', () => {
  const host = ingestHost({ admissionsPerSecondMax: 10 });
  for (let n = 0; n < 15; n++) host.message(numbered(n));
  expect(host.counters.stage_admitted).toBe(10);
  host.advance(600);
  expect(host.counters.stage_admitted).toBe(15);
});

test('what waits too long for room is rejected as too old', () => {
  const host = ingestHost({ poolTransactionsMax: 1 });
  host.message(numbered(1, GENESIS_TIME_MS + 200_000));
  host.message(numbered(2, GENESIS_TIME_MS - 290_000));
  host.advance(20_000);
  expect(letters(host)).toEqual(['timestamp@1']);
});

test('what no block took within the window expires, and its record is finished', () => {
  const host = ingestHost();
  host.message(anomalyTx());
  host.advance(310_000);
  expect(host.take()).toEqual([]);
  expect(host.counters.expired).toBe(1);
  expect(host.mark(ANOMALIES)).toBe(1);
});

test('a record is not finished before the DLQ has it', () => {
  const host = ingestHost();
  host.bus.outcome = 'unavailable';
  host.append(ANOMALIES, utf8('bad'));
  host.message(anomalyTx());
  expect([host.mark(ANOMALIES), host.take().length]).toEqual([0, 1]);
  host.bus.outcome = 'ok';
  host.advance(600);
  expect(letters(host)).toEqual(['malformed@0']);
  expect(host.mark(ANOMALIES)).toBe(1);
});

test('when too many dead letters wait, the topic is not read further', () => {
  const host = ingestHost({ lettersMax: 2 });
  host.bus.outcome = 'unavailable';
  for (let n = 0; n < 4; n++) host.append(ANOMALIES, utf8(`bad ${n}`));
  expect(host.state.letters.waiting.length + host.state.letters.flying.size).toBeLessThan(4);
  host.bus.outcome = 'ok';
  host.advance(2000);
  expect(letters(host)).toHaveLength(4);
});

test('a letter that the bus finds too long goes without its bytes and says so', () => {
  const host = ingestHost();
  host.bus.outcome = 'too-large';
  host.append(ANOMALIES, utf8('bad'));
  expect(host.mark(ANOMALIES)).toBe(1);
});

test('what the chain refuses ends in the DLQ with the reason', () => {
  const host = ingestHost();
  const tx = policyTx();
  host.message(tx);
  const ids = [txIdBytes(tx, crypto)];
  host.send({ kind: 'refused', ids, reasons: ['guardrail-never-block'] });
  expect(host.take()).toEqual([]);
  expect(letters(host)).toEqual(['guardrail@0']);
  expect(host.mark(POLICIES)).toBe(1);
});

test('content that came into the chain another way leaves the pool', () => {
  const host = ingestHost();
  const event = anomalyOf();
  host.message(anomalyTx());
  host.known.add(hex(event.contentHash));
  host.advance(5000);
  expect([host.take(), letters(host), host.mark(ANOMALIES)]).toEqual([[], [], 1]);
});

test('nonces are forgotten behind header time', () => {
  const host = ingestHost();
  host.message(anomalyTx());
  commit(host, [anomalyTx()]);
  expect(host.state.nonces.size).toBe(1);
  host.send({ kind: 'included', height: 2, timeMs: host.driver.nowMs + 961_000, ids: [] });
  expect([host.state.nonces.size, host.state.nonces.contents.size]).toEqual([0, 0]);
});

test('an operator’s policy is admitted, a detector’s is not', () => {
  const host = ingestHost();
  host.message(policyTx({}, { key: keys.detector }));
  const tx = policyTx();
  host.message(tx);
  expect(letters(host)).toEqual(['unknown-producer@0']);
  expect(host.take()).toEqual([tx]);
});
