import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type DurableRecord,
  decodeRecord,
  decodeStoredBlock,
  encodeRecord,
  encodeStoredBlock,
} from '#actors/replica/machine/record.ts';
import { simulatedCrypto as crypto } from '#test/kit/simulator/signatures.ts';
import {
  blockOn,
  claimBy,
  genesis,
  genesisQc,
  ordered,
  qcBy,
  tcBy,
  voteBy,
} from '#test/kit/simulator/signed.ts';
import { hashOf } from '#test/kit/simulator/solo.ts';

const [a, b, c] = ordered as [
  (typeof ordered)[number],
  (typeof ordered)[number],
  (typeof ordered)[number],
];
const block = blockOn(genesis, [{ kind: 'policy', bytes: Uint8Array.of(7) }]);
const qc = qcBy([a, b, c], block.header);
const tc = tcBy([a, b, c], 2, [1, 0, 1], qc);

const empty: DurableRecord = {
  chainId: 'simulated',
  epoch: 0,
  lastActedView: 0,
  lockedView: 0,
  lastVote: null,
  lastTimeout: null,
  lastProposal: null,
  highQc: genesisQc,
  tc: null,
  committedHeight: 0,
};
const full: DurableRecord = {
  ...empty,
  lastActedView: 3,
  lockedView: 1,
  lastVote: voteBy(a, block.header),
  lastTimeout: { claim: claimBy(a, 3, 1), highQc: qc, lastTc: tc },
  lastProposal: {
    view: 1,
    blockHash: hashOf(block.header),
    qc: genesisQc,
    tc: null,
    signature: new Uint8Array(64),
  },
  highQc: qc,
  tc,
  committedHeight: 12,
};

test.each([empty, full])('the record comes back as it was written', (record) => {
  expect(decodeRecord(encodeRecord(record, crypto), crypto)).toEqual({ ok: true, value: record });
});

test('a torn or damaged record is never taken for one', () => {
  const bytes = encodeRecord(full, crypto);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (place, flip) => {
      expect(decodeRecord(bytes.subarray(0, place), crypto).ok).toBe(false);
      const damaged = Uint8Array.from(bytes);
      damaged[place] = (damaged[place] ?? 0) ^ flip;
      expect(decodeRecord(damaged, crypto)).toEqual({ ok: false, error: 'torn' });
    }),
  );
});

test('a stored block comes back with the QC of its parent', () => {
  const stored = { block, qc: genesisQc };
  expect(decodeStoredBlock(encodeStoredBlock(stored))).toEqual({ ok: true, value: stored });
  expect(decodeStoredBlock(encodeStoredBlock(stored).subarray(1)).ok).toBe(false);
});
