import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { config } from '#actors/replica/config.ts';
import { createCore } from '#actors/replica/core.ts';
import type { Commands, Opened, Self } from '#actors/replica/messages.ts';
import { openReplicaStore } from '#actors/replica/store.ts';
import type { GenesisCertificate } from '#proto/consensus/genesis-ready.ts';
import { decodeMessage } from '#proto/consensus/messages.ts';
import type { Actor } from '#runtime/actor.ts';
import { decodeValue, encodeValue } from '#runtime/flight/encode.ts';
import { functionAt, functionNames } from '#runtime/flight/functions.ts';
import { recorder } from '#runtime/recorder.ts';
import { simulatedCrypto as crypto } from '#test/kit/simulator/signatures.ts';
import {
  committee,
  genesis,
  genesisCertificateBy,
  genesisClaim,
  idOfKey,
  ordered,
  readyBy,
} from '#test/kit/simulator/signed.ts';

const [a, b, c] = ordered as [
  (typeof ordered)[number],
  (typeof ordered)[number],
  (typeof ordered)[number],
];
const opened = (certificate: GenesisCertificate | null): { kind: 'opened' } & Opened => ({
  kind: 'opened',
  id: idOfKey(a),
  sign: a.sign,
  committee,
  genesis,
  configHash: genesisClaim.configHash,
  certificate,
  acceptanceSkewMs: 5000,
  blockTxMax: 500,
  blockBytesMax: 1 << 20,
  durable: null,
  blocks: [],
});

/** The actor's core with what it said since the last look: names of asks and io, and the fact `genesis`. */
const replica = () => {
  const core = createCore(crypto);
  const settings = { name: 'v1', key: 'v1.pem', listen: '/ip4/127.0.0.1/tcp/1', peers: {} };
  const state = core.init(config.parse(settings));
  const fx = recorder<Self, Commands>();
  const tell = (message: Self): string[] => {
    core.step(state, message, fx, 1000);
    return fx.take().flatMap((one) => {
      const { kind, value } = (one.event ?? one.message ?? {}) as { kind?: string; value?: string };
      if (one.effect === 'ask') return [`ask ${one.to} ${kind}`];
      if (one.effect === 'signal' && kind === 'fact') return [`${value}`];
      if (one.effect !== 'io') return [];
      if (one.command !== 'send') return [`io ${one.command}`];
      const frame = decodeMessage((one.argument as Commands['send']).frame);
      return [`send ${frame.ok ? frame.value.kind : frame.error}`];
    });
  };
  return { core, state, tell };
};

test('nothing is asked of the executor, and no machine exists, before the committee has agreed on its genesis', () => {
  const { state, tell } = replica();
  expect(tell(opened(null))).toEqual(['waiting: 1 of 3 have attested']);
  expect(tell({ kind: 'peer', id: idOfKey(b), connected: true })).toEqual(['send genesis-ready']);
  expect(tell({ kind: 'pending', count: 3 })).toEqual([]);
  const heard = (key: typeof b): Self => ({
    kind: 'heard',
    from: idOfKey(key),
    message: { kind: 'genesis-ready', ready: readyBy(key) },
  });
  expect(tell(heard(b))).toEqual(['waiting: 2 of 3 have attested']);
  const enough = tell(heard(c));
  expect(enough).toEqual(['io keepCertificate', 'waiting: 3 of 3 have attested']);
  expect(state.machine).toBeUndefined();
  expect(tell({ kind: 'certificateKept' })).toEqual([
    'send genesis-certificate',
    'agreed',
    'ask executor head',
  ]);
  expect(state.machine).toBeUndefined();
});

test('after a restart the kept certificate leads straight to the executor', () => {
  const { tell } = replica();
  expect(tell(opened(genesisCertificateBy([a, b, c])))).toEqual(['agreed', 'ask executor head']);
});

test('the certificate outlives its process, and the first one stays', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'cybermesh-certificate-'));
  const file = path.join(folder, 'safety.sqlite');
  try {
    const first = openReplicaStore(file, crypto);
    expect(first.certificate()).toBeNull();
    first.keepCertificate(genesisCertificateBy([a, b, c]));
    first.keepCertificate(genesisCertificateBy([b, c]));
    first.close();
    const again = openReplicaStore(file, crypto);
    expect(again.certificate()).toEqual(genesisCertificateBy([a, b, c]));
    again.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('the state of a crash report goes on as the one that crashed: the rules are found again, the key is not', () => {
  const { core, state, tell } = replica();
  tell(opened(genesisCertificateBy([a, b, c])));
  const head = { hash: new Uint8Array(32), height: 0, stateRoot: new Uint8Array(32) };
  tell({ kind: 'headKnown', result: { ok: true, value: head } } as Self);
  expect(state.machine).toBeDefined();
  const actor = { core } as unknown as Actor;
  const settings = config.parse({
    name: 'v1',
    key: 'k',
    listen: '/ip4/127.0.0.1/tcp/1',
    peers: {},
  });
  const text = JSON.stringify(encodeValue(state, functionNames(actor, settings)));
  const fresh = core.init(settings);
  const supply = (place: string) =>
    functionAt(actor, fresh, place) ??
    (() => {
      throw new Error(`no ${place}`);
    });
  const again = decodeValue(JSON.parse(text), supply) as typeof state;
  const said = (one: typeof state, message: Self) => {
    const fx = recorder<Self, Commands>();
    core.step(one, message, fx, 2000);
    return fx.take();
  };
  // Whether it leads is a question of the rules.
  const pending = { kind: 'pending', count: 5 } as const;
  const before = said(state, pending);
  expect(before).not.toEqual([]);
  expect(said(again, pending)).toEqual(before);
  const timeout = { kind: 'timer', id: 'view', view: 1 } as const;
  expect(() => said(again, timeout)).toThrow(/^no .*sign$/);
});
