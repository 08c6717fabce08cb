/** One honest policy proof, and for each check of a proof a forgery that only this check can tell from it. */
import fc from 'fast-check';
import { crypto } from '#native/crypto.ts';
import { utf8 } from '#proto/bytes.ts';
import {
  type CommitProof,
  encodeCommitProof,
  type PolicyClaim,
  type ProofCheck,
} from '#proto/commit-proof.ts';
import type { AnchorProof } from '#proto/consensus/anchor.ts';
import { blockHash, type Header } from '#proto/consensus/header.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import { get, prove } from '#proto/merkle.ts';
import { decodeState, encodeState, policyKey } from '#proto/state.ts';
import { anchorFor, buildOn, chainOf, qcOf } from './chain.ts';
import { keys, testGenesis } from './chain-genesis.ts';
import { policyTx } from './messages.ts';

export type Forgery = { readonly bytes: Uint8Array; readonly claim: PolicyClaim };

const genesis = testGenesis();
const chain = chainOf(genesis);
const first = buildOn(chain, chain.head, [policyTx()]).version;
const second = buildOn(chain, first, []).version;
const KEY = policyKey('policy-1');
const value = get(first.tree, KEY, crypto) ?? new Uint8Array(0);
const policy = decodeState(KEY, value);

export const trust = { committee: genesisCommittee(genesis, crypto), crypto };
export const claim: PolicyClaim = {
  policyId: 'policy-1',
  action: 'add',
  ruleData: utf8(policy.rule),
};
export const proof: CommitProof = {
  anchor: anchorFor(first.header, second.header),
  key: KEY,
  value,
  merkle: prove(first.tree, KEY, crypto),
};
export const honest: Forgery = { bytes: encodeCommitProof(proof), claim };

/** The honest bytes with one of them changed, whichever and however. */
export const flipped: fc.Arbitrary<Uint8Array> = fc
  .tuple(fc.nat({ max: honest.bytes.length - 1 }), fc.integer({ min: 1, max: 255 }))
  .map(([at, mask]) => honest.bytes.with(at, honest.bytes[at]! ^ mask));
/** The two blocks that the honest proof rests on. */
export const headers = { anchor: first.header, next: second.header };

const forged = (over: Partial<CommitProof>, overClaim: Partial<PolicyClaim> = {}): Forgery => ({
  bytes: encodeCommitProof({ ...proof, ...over }),
  claim: { ...claim, ...overClaim },
});
const withAnchor = (over: Partial<AnchorProof>): Forgery =>
  forged({ anchor: { ...proof.anchor, ...over } });
/** A header that stands on the anchor, or pretends to. */
const nextOn = (anchor: Header, over: Partial<Header> = {}): Header => ({
  ...second.header,
  parentHash: blockHash(anchor, crypto),
  ...over,
});
const certified = (anchor: Header, next: Header): Forgery =>
  withAnchor({ anchor, anchorQc: qcOf(anchor), next, nextQc: qcOf(next) });

const otherChain = (): Forgery => {
  const anchor = { ...first.header, chainId: 'another' };
  const next = nextOn(anchor, { chainId: 'another' });
  // The committee serves two chains and signs for ours: its signatures hold, the blocks are not ours.
  const anchorQc = qcOf(anchor, undefined, genesis.chainId);
  const nextQc = qcOf(next, undefined, genesis.chainId);
  return withAnchor({ anchor, anchorQc, next, nextQc });
};

const tombstone = (): Forgery => {
  const removal = policyTx({ action: 'remove' }, { counter: 2 });
  const removed = buildOn(chain, first, [removal]).version;
  const after = buildOn(chain, removed, []).version;
  const gone = get(removed.tree, KEY, crypto) ?? new Uint8Array(0);
  return forged(
    {
      anchor: anchorFor(removed.header, after.header),
      value: gone,
      merkle: prove(removed.tree, KEY, crypto),
    },
    { ruleData: utf8(decodeState(KEY, gone).rule) },
  );
};

const twoKeys = [keys.v1, keys.v2];
const otherRule = '{"anything":"else"}';

export const FORGERIES: { readonly [Name in ProofCheck['name']]: Forgery } = {
  chain: otherChain(),
  'anchor-certificate': withAnchor({ anchorQc: qcOf({ ...first.header, timeMs: 1 }) }),
  'next-certificate': withAnchor({ nextQc: qcOf({ ...second.header, timeMs: 1 }) }),
  link: certified(first.header, nextOn(first.header, { parentHash: 'ab'.repeat(32) })),
  'consecutive-views': certified(
    first.header,
    nextOn(first.header, { view: first.header.view + 2 }),
  ),
  'anchor-quorum': withAnchor({ anchorQc: qcOf(first.header, twoKeys) }),
  'next-quorum': withAnchor({ nextQc: qcOf(second.header, twoKeys) }),
  merkle: forged(
    { value: encodeState({ ...policy, rule: otherRule }) },
    { ruleData: utf8(otherRule) },
  ),
  'policy-key': forged({}, { policyId: 'policy-2' }),
  'policy-exists': forged(
    {
      key: policyKey('none'),
      value: null,
      merkle: prove(first.tree, policyKey('none'), crypto),
    },
    { policyId: 'none' },
  ),
  'policy-rule': forged({}, { ruleData: utf8(otherRule) }),
  'policy-status': tombstone(),
};
