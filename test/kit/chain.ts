/** Blocks and certificates for tests, made with the keys of `chain-genesis.ts`. */
import { type Agenda, agenda, note } from '#actors/executor/agenda.ts';
import { type Built, buildBlock, type Draft } from '#actors/executor/execution.ts';
import { type Rules, rulesOf } from '#actors/executor/rules.ts';
import { branchOf, headVersion, type Version } from '#actors/executor/version.ts';
import { crypto } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { type AnchorProof, encodeAnchor } from '#proto/consensus/anchor.ts';
import { type Qc, voteBytes } from '#proto/consensus/certificate.ts';
import { blockHash, type Header } from '#proto/consensus/header.ts';
import { leaderOf } from '#proto/consensus/leader.ts';
import type { Transaction } from '#proto/consensus/transaction.ts';
import type { KeyPair } from '#proto/crypto.ts';
import type { Genesis } from '#proto/genesis.ts';
import { genesisTree, headerOfGenesis } from '#proto/genesis-state.ts';
import { keys } from './chain-genesis.ts';

export type TestChain = { readonly rules: Rules; readonly book: Agenda; head: Version };

export const genesisVersion = (genesis: Genesis): Version =>
  headVersion(headerOfGenesis(genesis, crypto), genesisTree(genesis, crypto), crypto);

export const chainOf = (genesis: Genesis): TestChain => ({
  rules: rulesOf(genesis, crypto),
  book: agenda(genesis.parameters),
  head: genesisVersion(genesis),
});

export const draftOn = (chain: TestChain, parent: Version, over: Partial<Draft> = {}): Draft => {
  const view = parent.header.view + 1;
  return {
    epoch: 0,
    height: parent.header.height + 1,
    view,
    parentHash: parent.hash,
    parentView: parent.header.view,
    proposerId: leaderOf(chain.rules.committee, view),
    timeMs: parent.header.timeMs + 1000,
    ...over,
  };
};

export const buildOn = (
  chain: TestChain,
  parent: Version,
  txs: readonly Transaction[],
  over: Partial<Draft> = {},
): Built => {
  const branch = branchOf(parent, chain.book);
  const built = buildBlock(chain.rules, branch, draftOn(chain, parent, over), txs, () => false);
  if (!built.ok) throw new Error(built.error);
  return built.value;
};

/** Makes the version the committed head, as the executor does. */
export const commitTo = (chain: TestChain, version: Version): void => {
  const line: Version[] = [];
  for (let at: Version | null = version; at !== null && at !== chain.head; at = at.parent) {
    line.unshift(at);
  }
  for (const one of line) for (const [key, value] of one.changes) note(chain.book, key, value);
  version.parent = null;
  chain.head = version;
};

const signers: readonly KeyPair[] = [keys.v1, keys.v2, keys.v3, keys.v4];

export const qcOf = (
  header: Header,
  by: readonly KeyPair[] = signers.slice(0, 3),
  chainId: string = header.chainId,
): Qc => {
  const vote = { epoch: header.epoch, view: header.view, blockHash: blockHash(header, crypto) };
  const signatures = by
    .map(({ publicKey, sign }) => ({
      signer: hex(crypto.sha256(publicKey)),
      signature: sign(voteBytes(chainId, vote)),
    }))
    .sort((a, b) => (a.signer < b.signer ? -1 : 1));
  return { ...vote, signatures };
};

export const anchorFor = (anchor: Header, next: Header): AnchorProof => ({
  anchor,
  anchorQc: qcOf(anchor),
  next,
  nextQc: qcOf(next),
});

export const anchorBytes = (anchor: Header, next: Header): Uint8Array =>
  encodeAnchor(anchorFor(anchor, next));
