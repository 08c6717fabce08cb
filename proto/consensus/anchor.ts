/**
 * The proof that a block is committed, readable without having followed the chain: two certified blocks, the second
 * on the first and in the very next view. The first is the anchor; it and all its ancestors are committed.
 */
import { type CborValue, encodeCanonical } from '#proto/cbor.ts';
import { err, type Result } from '#proto/result.ts';
import {
  type CertificateError,
  type Qc,
  qcShape,
  qcToCbor,
  type Trust,
  verifyQc,
} from './certificate.ts';
import { blockHash, type Header, headerShape, headerToCbor } from './header.ts';
import { decodeShape, mapped, type Parse, type ShapeError, tuple } from './shape.ts';

/** CBOR [header b0, QC b0, header b1, QC b1]. */
export type AnchorProof = {
  readonly anchor: Header;
  readonly anchorQc: Qc;
  readonly next: Header;
  readonly nextQc: Qc;
};

export type AnchorError = CertificateError | 'foreign-chain' | 'not-linked' | 'views-apart';

/** HotStuff with two chains (Jolteon, section 3): consecutive views, not heights. */
export const commits = (anchorView: number, nextView: number): boolean =>
  nextView === anchorView + 1;

export const ANCHOR_BYTES_MAX = 64 * 1024;

export const anchorToCbor = (proof: AnchorProof): CborValue => [
  headerToCbor(proof.anchor),
  qcToCbor(proof.anchorQc),
  headerToCbor(proof.next),
  qcToCbor(proof.nextQc),
];

export const anchorShape: Parse<AnchorProof> = mapped(
  tuple<[Header, Qc, Header, Qc]>(headerShape, qcShape, headerShape, qcShape),
  ([anchor, anchorQc, next, nextQc]) => ({ anchor, anchorQc, next, nextQc }),
);

export const encodeAnchor = (proof: AnchorProof): Uint8Array =>
  encodeCanonical(anchorToCbor(proof));

export const decodeAnchor = (bytes: Uint8Array): Result<AnchorProof, ShapeError> =>
  decodeShape(bytes, { bytesMax: ANCHOR_BYTES_MAX }, anchorShape);

/** `committed` is for the mutants of the tests; everybody else leaves it out. */
export const verifyAnchor = (
  { anchor, anchorQc, next, nextQc }: AnchorProof,
  trust: Trust,
  committed: (anchorView: number, nextView: number) => boolean = commits,
): Result<true, AnchorError> => {
  const { committee, crypto } = trust;
  for (const header of [anchor, next]) {
    if (header.chainId !== committee.chainId || header.epoch !== committee.epoch) {
      return err('foreign-chain');
    }
  }
  const anchorHash = blockHash(anchor, crypto);
  const linked =
    anchorQc.blockHash === anchorHash &&
    anchorQc.view === anchor.view &&
    next.parentHash === anchorHash &&
    next.parentView === anchor.view &&
    next.height === anchor.height + 1 &&
    nextQc.blockHash === blockHash(next, crypto) &&
    nextQc.view === next.view;
  if (!linked) return err('not-linked');
  if (!committed(anchor.view, next.view)) return err('views-apart');
  const first = verifyQc(anchorQc, trust);
  return first.ok ? verifyQc(nextQc, trust) : first;
};
