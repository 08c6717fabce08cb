import { expect, test } from 'vitest';
import {
  type Ceremony,
  type CeremonyEffect,
  type CeremonyEvent,
  GATHER_AFTER_TICKS,
  open,
  step,
  summary,
} from '#actors/replica/ceremony.ts';
import type { GenesisCertificate, GenesisClaim } from '#proto/consensus/genesis-ready.ts';
import type { GenesisMessage } from '#proto/consensus/messages.ts';
import type { SimulatedKey } from '#test/kit/simulator/signatures.ts';
import {
  committee,
  genesisCertificateBy,
  genesisClaim,
  idOfKey,
  ordered,
  readyBy,
  trust,
} from '#test/kit/simulator/signed.ts';

/** The leader of view 0 is the first by id. */
const [leader, second, third, fourth] = ordered as [
  SimulatedKey,
  SimulatedKey,
  SimulatedKey,
  SimulatedKey,
];
const nameOf = (id: string) => committee.validators.find((one) => one.id === id)!.name;
const OTHER = { configHash: 'ab'.repeat(32) };

const worded = (effect: CeremonyEffect): string => {
  switch (effect.kind) {
    case 'send': {
      const what = effect.message.kind.replace('genesis-', '');
      return `${what} to ${effect.to === null ? 'all' : nameOf(effect.to)}`;
    }
    case 'keep':
      return `keep ${effect.certificate.attestations.length} by ${nameOf(effect.certificate.gatherer)}`;
    case 'changed':
      return effect.refused === null ? 'changed' : `refused ${effect.refused}`;
    default:
      return effect.kind;
  }
};

/** One replica and what it says, in words. */
const replica = (
  key: SimulatedKey,
  kept: GenesisCertificate | null = null,
  claim: GenesisClaim = genesisClaim,
) => {
  const said: string[] = [];
  const emit = (effect: CeremonyEffect) => void said.push(worded(effect));
  const ceremony: Ceremony = open(claim, { id: idOfKey(key), sign: key.sign }, trust, kept, emit);
  const take = () => said.splice(0);
  const hear = (from: SimulatedKey, message: GenesisMessage) =>
    tell({ kind: 'heard', from: idOfKey(from), message });
  const tell = (event: CeremonyEvent): string[] => {
    step(ceremony, event, emit);
    return take();
  };
  return { ceremony, opened: take(), tell, hear, said: () => summary(ceremony) };
};
const readyOf = (key: SimulatedKey, change = {}): GenesisMessage => ({
  kind: 'genesis-ready',
  ready: readyBy(key, change),
});
const certified = (by: readonly SimulatedKey[], change = {}): GenesisMessage => ({
  kind: 'genesis-certificate',
  certificate: genesisCertificateBy(by, change),
});

test('the leader of view 0 gathers a quorum, keeps the certificate, and only then passes it on and is done', () => {
  const { opened, tell, hear, said } = replica(leader);
  expect(opened).toEqual(['changed', 'ready to all', 'tick-later']);
  expect(tell({ kind: 'connected', peer: idOfKey(third) })).toEqual([
    `ready to ${nameOf(idOfKey(third))}`,
  ]);
  expect(hear(third, readyOf(third))).toEqual(['changed']);
  expect(said()).toBe('waiting: 2 of 3 have attested');
  const name = nameOf(idOfKey(leader));
  expect(hear(second, readyOf(second))).toEqual(['changed', `keep 3 by ${name}`]);
  expect(hear(fourth, readyOf(fourth))).toEqual(['changed']);
  expect(tell({ kind: 'tick' })).toEqual([]);
  expect(tell({ kind: 'kept' })).toEqual(['certificate to all', 'changed', 'done']);
  expect(tell({ kind: 'kept' })).toEqual([]);
  expect(said()).toBe('agreed');
});

test('whoever is not the leader waits for its certificate, and keeps it before it is done', () => {
  const { tell, hear } = replica(second);
  hear(third, readyOf(third));
  expect(hear(leader, readyOf(leader))).toEqual(['changed']);
  const by = nameOf(idOfKey(leader));
  expect(hear(leader, certified([leader, second, third]))).toEqual([`keep 3 by ${by}`]);
  expect(hear(third, certified([leader, second, third]))).toEqual([]);
  expect(tell({ kind: 'kept' })).toContain('done');
});

test('a leader that is away holds nobody up: the others gather after some ticks', () => {
  const { tell, hear } = replica(second);
  hear(third, readyOf(third));
  for (let k = 0; k < 10; k++) {
    expect(tell({ kind: 'tick' })).toEqual(['ready to all', 'tick-later']);
  }
  hear(fourth, readyOf(fourth));
  for (let k = 1; k < GATHER_AFTER_TICKS; k++) tell({ kind: 'tick' });
  const by = nameOf(idOfKey(second));
  expect(tell({ kind: 'tick' })).toEqual(['ready to all', 'tick-later', `keep 3 by ${by}`]);
});

test('a validator that comes late is answered with the certificate', () => {
  const kept = genesisCertificateBy([leader, second, third]);
  const { hear } = replica(leader, kept);
  const late = nameOf(idOfKey(fourth));
  expect(hear(fourth, readyOf(fourth))).toEqual(['changed', `certificate to ${late}`]);
  expect(hear(fourth, readyOf(fourth))).toEqual([`certificate to ${late}`]);
});

test('after a restart the kept certificate is enough: done at once, and nothing is asked again', () => {
  const kept = genesisCertificateBy([leader, second, third]);
  const { opened, tell, said } = replica(fourth, kept);
  expect(opened).toEqual(['changed', 'done']);
  expect(tell({ kind: 'tick' })).toEqual([]);
  expect(said()).toBe('agreed');
  expect(tell({ kind: 'connected', peer: idOfKey(leader) })).toEqual([
    `ready to ${nameOf(idOfKey(leader))}`,
  ]);
});

test('who was refused and is mended is no longer named, though it has the certificate from another', () => {
  const kept = genesisCertificateBy([leader, third, fourth]);
  const { hear, said } = replica(leader, kept);
  hear(second, readyOf(second, OTHER));
  expect(said()).toBe(`agreed; validator ${nameOf(idOfKey(second))}: config hash differs`);
  const mended = replica(second, kept);
  mended.tell({ kind: 'connected', peer: idOfKey(leader) });
  hear(second, readyOf(second));
  expect(said()).toBe('agreed');
});

test('another configuration is refused by name, does not count, and counts when it is mended', () => {
  const { hear, said } = replica(leader);
  const name = nameOf(idOfKey(second));
  const refusal = `validator ${name}: config hash differs`;
  expect(hear(second, readyOf(second, OTHER))).toEqual([`refused ${refusal}`]);
  expect(hear(second, readyOf(second, OTHER))).toEqual([]);
  expect(said()).toBe(`waiting: 1 of 3 have attested; ${refusal}`);
  hear(third, readyOf(third));
  expect(hear(fourth, readyOf(fourth, { peerSetHash: 'cd'.repeat(32) }))).toEqual([
    `refused validator ${nameOf(idOfKey(fourth))}: peer set differs`,
  ]);
  expect(hear(second, readyOf(second))).toEqual([
    'changed',
    `keep 3 by ${nameOf(idOfKey(leader))}`,
  ]);
});

test('a validator with another configuration learns from the certificate who differs, and does not begin', () => {
  const { hear, tell, said } = replica(second, null, { ...genesisClaim, ...OTHER });
  const name = nameOf(idOfKey(leader));
  expect(hear(leader, certified([leader, third, fourth]))).toEqual([
    `refused validator ${name}: config hash differs`,
  ]);
  expect(tell({ kind: 'kept' })).toEqual([]);
  expect(said()).toContain('waiting: 1 of 3');
});

test('a restart with the right file takes back what was attested wrongly before', () => {
  const { hear, said } = replica(third);
  hear(second, readyOf(second));
  expect(said()).toContain('2 of 3');
  hear(second, readyOf(second, OTHER));
  expect(said()).toContain('1 of 3');
});

test('nobody attests for another, no signature counts that is not there, and no certificate without a quorum', () => {
  const { hear, said } = replica(leader);
  expect(hear(second, readyOf(third))).toEqual([]);
  const unsigned = { ...readyBy(third), signature: new Uint8Array(64) };
  expect(hear(third, { kind: 'genesis-ready', ready: unsigned })).toEqual([
    `refused validator ${nameOf(idOfKey(third))}: its attestation is not signed with its key`,
  ]);
  expect(hear(second, certified([second, third]))).toEqual([
    `refused validator ${nameOf(idOfKey(second))}: its genesis certificate is refused (no-quorum)`,
  ]);
  expect(said()).toContain('waiting: 1 of 3');
});
