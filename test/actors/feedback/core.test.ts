import { beforeEach, expect, test } from 'vitest';
import { config } from '#actors/feedback/config.ts';
import { type Commands, createCore, type HeardTopic, type Self } from '#actors/feedback/core.ts';
import { crypto, keyPairFromSeed } from '#native/crypto.ts';
import { hex, utf8 } from '#proto/bytes.ts';
import { defaultNeverBlock, defaultParameters, type Genesis } from '#proto/genesis.ts';
import { err, ok } from '#proto/result.ts';
import { messageId, signingBytes } from '#proto/wire/ai-signature.ts';
import { encodeAnomaly } from '#proto/wire/anomaly.ts';
import { signControl } from '#proto/wire/control.ts';
import { encodeRecords } from '#runtime/bus/record.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';

const key = (n: number) => keyPairFromSeed(new Uint8Array(32).fill(n));
const validators = [1, 2, 3, 4].map(key);
const detector = key(10);
const enforcer = key(11);
const genesis: Genesis = {
  chainId: 'test',
  timeMs: 0,
  validators: validators.map((pair, k) => ({
    name: `v${k + 1}`,
    publicKey: hex(pair.publicKey),
    weight: 1,
  })),
  producers: [
    { name: 'd', publicKey: hex(detector.publicKey), role: 'detector', quotaPerMinute: 1000 },
    { name: 'e', publicKey: hex(enforcer.publicKey), role: 'enforcer', quotaPerMinute: 1000 },
  ],
  parameters: defaultParameters,
  neverBlock: [...defaultNeverBlock],
};

const payload = utf8('{"src_ip":"203.0.113.9","dst_ip":"10.0.0.1"}');
const contentHash = crypto.sha256(payload);
const id = messageId(detector.publicKey, contentHash, crypto);
const anomaly = (pair = detector): Uint8Array => {
  const signed = { ts: 1, producerId: pair.publicKey, nonce: new Uint8Array(16), contentHash };
  return encodeAnomaly({
    ...signed,
    id,
    type: 'port_scan',
    source: 'detector',
    severity: 5,
    confidence: 0.9,
    payload,
    modelVersion: 'm1',
    signature: pair.sign(signingBytes('anomaly', signed)),
    pubkey: pair.publicKey,
    alg: 'Ed25519',
  });
};
const verdict = (validator: number, accepted: boolean, reason = ''): Uint8Array => {
  const pair = validators[validator]!;
  return signControl(
    'evidence-request',
    {
      requestId: `r${validator}`,
      anomalyId: id,
      evidenceId: '',
      requestType: 'validation_result',
      requestedTypes: [],
      requestReason: '',
      deadlineTs: 0,
      evidenceAccepted: accepted,
      rejectionReason: reason,
      evidenceQualityScore: 0,
      challengeReason: '',
      challengeData: new Uint8Array(0),
      timestamp: 1,
      blockHeight: 0,
      producerId: pair.publicKey,
    },
    pair.sign,
  );
};
const commit = (validator: number, policyCount = 0): Uint8Array => {
  const pair = validators[validator]!;
  return signControl(
    'commit',
    {
      height: 1,
      blockHash: new Uint8Array(32).fill(7),
      stateRoot: new Uint8Array(32).fill(8),
      txCount: 1,
      anomalyCount: 1,
      evidenceCount: 0,
      policyCount,
      timestamp: 1,
      anomalyIds: [id],
      producerId: pair.publicKey,
    },
    pair.sign,
  );
};

const core = createCore(crypto);
const began = () => {
  const state = core.init(config.parse({}));
  const fx = recorder<Self, Commands>();
  const empty = { open: [], heights: [], policies: [], outcomes: [], finished: [] };
  core.step(state, { kind: 'opened', genesis, ...empty }, fx, 0);
  fx.take();
  return { state, fx };
};
let { state, fx } = began();
let offset = 0;
beforeEach(() => {
  ({ state, fx } = began());
  offset = 0;
});
/** Records of a topic arrive, and what they changed becomes durable. */
const arrive = (topic: HeardTopic, ...values: Uint8Array[]): void => {
  const records = values.map((value) => {
    const place = { partition: 0, offset: offset++, timestampMs: 5, key: '', headers: {} };
    return { ...place, value };
  });
  const value = { outcome: 'ok' as const, records: encodeRecords(records), positions: [offset] };
  core.step(state, { kind: 'fetched', topic, result: { ok: true, value } }, fx, 10);
  core.step(state, { kind: 'save' }, fx, 10);
  const save = fx.take().find((e) => e.effect === 'io' && e.command === 'save');
  const { records: finished } = save!.argument as Commands['save'];
  core.step(state, { kind: 'saved', records: finished }, fx, 11);
};
const stateOf = () =>
  state.ledger.finished.has(id) ? 'finished' : state.ledger.open.get(id)?.state;

test('an anomaly goes from published through admitted to committed by f+1 validators', () => {
  arrive('anomalies', anomaly());
  expect(stateOf()).toBe('PUBLISHED');
  arrive('evidenceRequests', verdict(0, true), verdict(1, true));
  expect(stateOf()).toBe('ADMITTED');
  arrive('commits', commit(0));
  expect(stateOf()).toBe('ADMITTED');
  arrive('commits', commit(1), commit(2), commit(3));
  expect(stateOf()).toBe('finished');
  expect(state.ledger.outcomes).toEqual([true]);
});

test('verdicts that come before the anomaly wait for it', () => {
  arrive('evidenceRequests', verdict(0, false, 'timestamp'), verdict(1, false, 'timestamp'));
  arrive('anomalies', anomaly());
  expect(stateOf()).toBe('finished');
  expect(state.ledger.outcomes).toEqual([false]);
});

test('a record is marked finished only after what it changed is durable', () => {
  arrive('anomalies', anomaly());
  expect(fx.take().some((e) => e.effect === 'tell')).toBe(true);
  const value = {
    outcome: 'ok' as const,
    records: encodeRecords([
      { partition: 0, offset: 5, timestampMs: 1, key: '', value: verdict(0, true), headers: {} },
    ]),
    positions: [6],
  };
  const topic = 'evidenceRequests';
  core.step(state, { kind: 'fetched', topic, result: { ok: true, value } }, fx, 12);
  core.step(state, { kind: 'save' }, fx, 12);
  const effects = fx.take();
  expect(effects.some((e) => e.effect === 'io' && e.command === 'save')).toBe(true);
  expect(effects.some((e) => e.effect === 'tell')).toBe(false);
});

test('the same anomaly again, after its end, begins no second life', () => {
  arrive('anomalies', anomaly());
  arrive('commits', commit(0), commit(1));
  arrive('anomalies', anomaly());
  arrive('commits', commit(2), commit(3));
  expect(stateOf()).toBe('finished');
  expect(state.ledger.open.size + state.ledger.early.size).toBe(0);
});

test('words of strangers and altered words count for nothing', () => {
  arrive('anomalies', anomaly(key(99)));
  expect(stateOf()).toBeUndefined();
  arrive('anomalies', anomaly());
  const altered = commit(0);
  altered[40]! ^= 1;
  arrive('commits', altered, commit(1));
  arrive('evidenceRequests', verdict(0, true));
  expect(stateOf()).toBe('PUBLISHED');
});

const completes = (log: readonly Recorded[]): boolean =>
  log.some((e) => e.effect === 'signal' && (e.event as { kind: string }).kind === 'complete');
const projector = (result: Extract<Self, { kind: 'projector' }>['result'], atMs: number): void =>
  core.step(state, { kind: 'projector', result }, fx, atMs);

test('a finite run is complete when everything that it caused is settled and in SQL, and not before', () => {
  const complete = (): boolean => completes(fx.take());
  const ends = { ok: true as const, value: { ends: [1], committed: [1] } };
  arrive('anomalies', anomaly());
  core.step(state, { kind: 'drained', published: 1 }, fx, 12);
  core.step(state, { kind: 'ends', result: ends }, fx, 13);
  expect(complete()).toBe(false);
  arrive('commits', commit(0, 1), commit(1, 1));
  expect(complete()).toBe(false);
  const policy = signControl(
    'policy-update',
    {
      policyId: 'p1',
      action: 'add',
      ruleType: 'block',
      ruleData: utf8('{}'),
      ruleHash: crypto.sha256(utf8('{}')),
      requiresAck: true,
      rollbackPolicyId: '',
      timestamp: 1,
      effectiveHeight: 1,
      expirationHeight: 0,
      producerId: validators[0]!.publicKey,
      commitProof: new Uint8Array([1]),
    },
    validators[0]!.sign,
  );
  arrive('policyUpdates', policy);
  expect(complete()).toBe(false);
  const ack = signControl(
    'policy-ack',
    {
      policyId: 'p1',
      scopeIdentifier: '',
      tenant: '',
      region: '',
      result: 'applied',
      reason: 'noop',
      errorCode: '',
      appliedAt: 1,
      ackedAt: 1,
      qcReference: '',
      controllerInstance: 'agent',
      fastPath: false,
      ruleHash: crypto.sha256(utf8('{}')),
      producerId: enforcer.publicKey,
      appliedAtMs: 1,
      ackedAtMs: 1,
      traceId: '',
      sourceEventId: id,
      sentinelEventId: '',
      ackEventId: 'a1',
      requestId: '',
      commandId: '',
      workflowId: '',
    },
    enforcer.sign,
  );
  arrive('policyAcks', ack);
  expect(complete()).toBe(false);
  projector(ok({ height: 0, lag: 1, connected: true }), 20);
  expect(complete()).toBe(false);
  projector(ok({ height: 1, lag: 0, connected: true }), 30);
  expect(complete()).toBe(true);
});

/** The state of a run that has caused nothing, and in which one block was committed. */
const settled = (): void => {
  arrive('commits', commit(0, 0), commit(1, 0));
  core.step(state, { kind: 'drained', published: 0 }, fx, 12);
  core.step(state, { kind: 'ends', result: ok({ ends: [0], committed: [0] }) }, fx, 13);
};

test('a node without a projector does not wait for SQL', () => {
  settled();
  projector(err('no-such-actor'), 20);
  expect(completes(fx.take())).toBe(true);
});

test('a run does not wait for SQL for ever', () => {
  settled();
  projector(err('timeout'), 59_000);
  expect(completes(fx.take())).toBe(false);
  projector(err('timeout'), 61_000);
  expect(completes(fx.take())).toBe(true);
});

test('an anomaly that nobody answers times out after five minutes', () => {
  arrive('anomalies', anomaly());
  core.step(state, { kind: 'sweep' }, fx, 5 + 300_000);
  expect(stateOf()).toBe('finished');
  const save = fx.take().find((e) => e.effect === 'io' && e.command === 'save');
  const { changes } = save!.argument as Commands['save'];
  expect(changes.anomalies.get(id)!.state).toBe('TIMEOUT');
});
