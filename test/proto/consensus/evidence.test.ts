import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  decodeEvidence,
  type Evidence,
  encodeEvidence,
  evidenceId,
  verifyEvidence,
} from '#proto/consensus/evidence.ts';
import { simulatedCrypto } from '#test/kit/simulator/signatures.ts';
import {
  claimBy,
  genesis,
  headerOn,
  idOfKey,
  keyOf,
  ordered,
  signHeader,
  trust,
  voteBy,
} from '#test/kit/simulator/signed.ts';

const [a, b] = ordered as [(typeof ordered)[number], (typeof ordered)[number]];
const b1 = headerOn(genesis);
const b2 = headerOn(b1);
const rival = headerOn(b1, { timeMs: 99_999 });

const doubleVote: Evidence = {
  kind: 'double-vote',
  first: voteBy(a, b2),
  second: voteBy(a, rival),
};
const leader = keyOf(b2.proposerId);
const doubleProposal: Evidence = {
  kind: 'double-proposal',
  first: signHeader(leader, b2),
  second: signHeader(leader, rival),
};
const amnesia: Evidence = {
  kind: 'amnesia',
  vote: voteBy(a, b2),
  header: b2,
  claim: claimBy(a, 2, 0),
};

test('two votes of one signer in one view convict it', () => {
  expect(verifyEvidence(doubleVote, trust)).toEqual({ ok: true, value: idOfKey(a) });
});

test('two proposals of one leader in one view convict it', () => {
  expect(verifyEvidence(doubleProposal, trust)).toEqual({ ok: true, value: b2.proposerId });
});

test('a timeout that denies the QC under an earlier vote convicts its signer', () => {
  expect(verifyEvidence(amnesia, trust)).toEqual({ ok: true, value: idOfKey(a) });
});

const innocent: readonly (readonly [string, Evidence])[] = [
  ['the same vote twice', { ...doubleVote, second: doubleVote.first }],
  ['votes in different views', { ...doubleVote, first: voteBy(a, b1) }],
  ['votes of two signers', { ...doubleVote, second: voteBy(b, rival) }],
  [
    'a vote that it did not sign',
    { ...doubleVote, second: { ...voteBy(b, rival), signer: idOfKey(a) } },
  ],
  ['the same proposal twice', { ...doubleProposal, second: doubleProposal.first }],
  [
    'proposals in different views',
    { ...doubleProposal, first: signHeader(keyOf(b1.proposerId), b1) },
  ],
  [
    'a proposal signed by another',
    { ...doubleProposal, second: signHeader(a === leader ? b : a, rival) },
  ],
  ['a timeout of an earlier view than the vote', { ...amnesia, claim: claimBy(a, 1, 0) }],
  ['a timeout that knows the QC', { ...amnesia, claim: claimBy(a, 2, 1) }],
  ['a timeout of another signer', { ...amnesia, claim: claimBy(b, 2, 0) }],
  ['a header that was not voted for', { ...amnesia, header: rival }],
  ['a claim that it did not sign', { ...amnesia, claim: { ...claimBy(a, 2, 1), highQcView: 0 } }],
];

test.each(innocent)('%s convicts nobody', (_, evidence) => {
  expect(verifyEvidence(evidence, trust).ok).toBe(false);
});

test.each([doubleVote, doubleProposal, amnesia])('$kind survives the wire', (evidence) => {
  const bytes = encodeEvidence(evidence);
  expect(bytes.length).toBeLessThan(4096);
  expect(decodeEvidence(bytes)).toEqual({ ok: true, value: evidence });
});

test('evidence of another chain convicts nobody', () => {
  const elsewhere = { ...trust, committee: { ...trust.committee, chainId: 'another' } };
  for (const evidence of [doubleVote, doubleProposal, amnesia]) {
    expect(verifyEvidence(evidence, elsewhere).ok).toBe(false);
  }
});

test('evidence has an id of its content', () => {
  expect(evidenceId(doubleVote, simulatedCrypto)).toMatch(/^[0-9a-f]{64}$/);
  expect(evidenceId(doubleVote, simulatedCrypto)).not.toBe(evidenceId(amnesia, simulatedCrypto));
});

test('damaged evidence never throws and never convicts', () => {
  const bytes = encodeEvidence(amnesia);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (place, byte) => {
      const damaged = Uint8Array.from(bytes);
      if (damaged[place] === byte) return;
      damaged[place] = byte;
      const decoded = decodeEvidence(damaged);
      // The stub signs 9 of 64 bytes: damage to the rest of a signature changes nothing here.
      if (!decoded.ok || decoded.value.kind !== 'amnesia') return;
      const { vote, header, claim } = decoded.value;
      const same = [
        vote.view,
        vote.blockHash,
        vote.signer,
        claim.view,
        claim.highQcView,
        header.view,
      ];
      const was = [2, amnesia.vote.blockHash, idOfKey(a), 2, 0, 2];
      if (same.join() !== was.join()) expect(verifyEvidence(decoded.value, trust).ok).toBe(false);
    }),
    { numRuns: 2_000 },
  );
});
