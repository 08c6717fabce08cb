import { expect, test } from 'vitest';
import { concat, hex, utf8 } from '#proto/bytes.ts';
import { encodeCanonical } from '#proto/cbor.ts';
import { committeeOf } from '#proto/consensus/committee.ts';
import {
  decodeGenesisCertificate,
  encodeGenesisCertificate,
  GENESIS_CERTIFICATE_BYTES_MAX,
  type GenesisCertificate,
  genesisCertificateBytes,
  mismatchOf,
  peerSetHash,
  readyBytes,
  verifyGenesisCertificate,
  verifyReady,
} from '#proto/consensus/genesis-ready.ts';
import { simulatedCrypto as crypto, simulatedKey } from '#test/kit/simulator/signatures.ts';
import {
  genesisCertificateBy,
  genesisClaim,
  idOfKey,
  ordered,
  readyBy,
  trust,
} from '#test/kit/simulator/signed.ts';

const [a, b, c, d] = ordered as [
  (typeof ordered)[number],
  (typeof ordered)[number],
  (typeof ordered)[number],
  (typeof ordered)[number],
];
const OTHER = 'ab'.repeat(32);
const judge = (certificate: GenesisCertificate) =>
  verifyGenesisCertificate(certificate, genesisClaim, trust);
const good = genesisCertificateBy([a, b, c]);

test('an attestation signs its domain, chain, epoch 0, view 0 and both hashes', () => {
  const raw = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));
  const { chainId, configHash, peerSetHash: peers } = genesisClaim;
  const fields = [chainId, 0, 0, raw(configHash), raw(peers)];
  const domain = utf8('CONSENSUS_GENESIS_READY_V1');
  expect(hex(readyBytes(genesisClaim))).toBe(hex(concat(domain, encodeCanonical(fields))));
  const gathered = encodeCanonical([...fields, [raw(OTHER)]]);
  expect(hex(genesisCertificateBytes(genesisClaim, [OTHER]))).toBe(
    hex(concat(utf8('CONSENSUS_GENESIS_CERT_V1'), gathered)),
  );
});

test('an attestation of another configuration still verifies: it is refused by the name of its signer', () => {
  for (const change of [{ configHash: OTHER }, { peerSetHash: OTHER }, { chainId: 'other' }]) {
    const ready = readyBy(a, change);
    expect(verifyReady(ready, trust)).toEqual({ ok: true, value: true });
    expect(mismatchOf(ready, genesisClaim)).toBe(
      'peerSetHash' in change ? 'peer-set' : 'config-hash',
    );
  }
  expect(mismatchOf(readyBy(b), genesisClaim)).toBeUndefined();
});

test('what a stranger attests, or another key than the signer names, does not count', () => {
  const stranger = simulatedKey(9);
  expect(verifyReady(readyBy(stranger), trust)).toEqual({ ok: false, error: 'unknown-signer' });
  const stolen = { ...readyBy(a), signer: idOfKey(b) };
  expect(verifyReady(stolen, trust)).toEqual({ ok: false, error: 'bad-signature' });
  const changed = { ...readyBy(a), configHash: OTHER };
  expect(verifyReady(changed, trust)).toEqual({ ok: false, error: 'bad-signature' });
});

test('a certificate is a quorum of distinct members that attest exactly this, gathered by one of them', () => {
  expect(judge(good)).toEqual({ ok: true, value: true });
  expect(judge(genesisCertificateBy([a, b, c, d]))).toEqual({ ok: true, value: true });
  const wrong: [string, GenesisCertificate][] = [
    ['no-quorum', genesisCertificateBy([a, b])],
    ['repeated-signer', genesisCertificateBy([a, a, b])],
    ['repeated-signer', genesisCertificateBy([b, a, c])],
    ['unknown-signer', genesisCertificateBy([a, b, c, simulatedKey(9)].sort(byId))],
    ['config-hash', genesisCertificateBy([a, b, c], { configHash: OTHER })],
    ['peer-set', genesisCertificateBy([a, b, c], { peerSetHash: OTHER })],
    ['bad-signature', { ...good, gatherer: idOfKey(d) }],
    ['bad-signature', { ...good, attestations: forged(good) }],
    ['unknown-signer', { ...good, gatherer: OTHER }],
  ];
  for (const [error, certificate] of wrong) {
    expect(judge(certificate)).toEqual({ ok: false, error });
  }
});

const byId = (one: Parameters<typeof idOfKey>[0], other: Parameters<typeof idOfKey>[0]): number =>
  idOfKey(one) < idOfKey(other) ? -1 : 1;
/** The signature of the last is that of another. */
const forged = ({ attestations }: GenesisCertificate): GenesisCertificate['attestations'] =>
  attestations.map((one, at) =>
    at === 2 ? { ...one, signature: attestations[0]!.signature } : one,
  );

test('the peer set is who is to be met: names, keys and voting powers, not addresses', () => {
  const members = ordered.map(({ publicKey }, at) => ({ name: `v${at}`, publicKey, weight: 1 }));
  const hashOf = (list: typeof members) => peerSetHash(committeeOf('x', 0, list, crypto), crypto);
  const same = hashOf(members);
  expect(hashOf([...members].reverse())).toBe(same);
  expect(hashOf(members.slice(1))).not.toBe(same);
  expect(hashOf(members.map((one) => ({ ...one, weight: 2 })))).not.toBe(same);
  expect(hashOf(members.map((one) => ({ ...one, name: `${one.name}x` })))).not.toBe(same);
});

test('a certificate is read from the disk as it was written, and nothing else is', () => {
  const bytes = encodeGenesisCertificate(good);
  expect(decodeGenesisCertificate(bytes)).toEqual({ ok: true, value: good });
  expect(decodeGenesisCertificate(bytes.subarray(1)).ok).toBe(false);
  expect(decodeGenesisCertificate(concat(bytes, Uint8Array.of(0))).ok).toBe(false);
  const large = new Uint8Array(GENESIS_CERTIFICATE_BYTES_MAX + 1);
  expect(decodeGenesisCertificate(large)).toEqual({ ok: false, error: 'too-large' });
});

test('the certificate of the largest committee fits into its limit', () => {
  const keys = [...Array(100)].map((_, at) => simulatedKey(at));
  const largest = genesisCertificateBy([...keys].sort(byId));
  expect(encodeGenesisCertificate(largest).length).toBeLessThan(GENESIS_CERTIFICATE_BYTES_MAX);
});
