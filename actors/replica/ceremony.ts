/**
 * The genesis ceremony of one replica, pure: `open`, then `step` for every event. Nothing is proposed or voted on
 * before it says `done`.
 *
 * Each validator sends its attestation to every peer. The leader of view 0 makes a certificate of a quorum of them at once;
 * where it is away, every other one does so after `GATHER_AFTER_TICKS`: two certificates of one configuration are as good
 * as one. The certificate is kept on disk before it is passed on. Who has it answers each attestation with it, so a
 * validator that comes late, or lost the message, asks by attesting again; everybody attests to a peer that connects.
 */
import type { Trust } from '#proto/consensus/certificate.ts';
import { validatorOf } from '#proto/consensus/committee.ts';
import {
  type GenesisCertificate,
  type GenesisClaim,
  type GenesisMismatch,
  type GenesisReady,
  genesisCertificateBytes,
  mismatchOf,
  readyBytes,
  verifyGenesisCertificate,
  verifyReady,
} from '#proto/consensus/genesis-ready.ts';
import { leaderOf } from '#proto/consensus/leader.ts';
import type { GenesisMessage } from '#proto/consensus/messages.ts';
import { quorum } from '#proto/consensus/quorum.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { Sign } from '#proto/crypto.ts';
import { unreachable } from '#proto/result.ts';

export type CeremonyEvent =
  | { readonly kind: 'connected'; readonly peer: HashHex }
  | { readonly kind: 'heard'; readonly from: HashHex; readonly message: GenesisMessage }
  /** Time to say again what may have been lost. */
  | { readonly kind: 'tick' }
  /** The certificate is on disk. */
  | { readonly kind: 'kept' };

export type CeremonyEffect =
  /** `to` null: every connected peer. */
  | { readonly kind: 'send'; readonly to: HashHex | null; readonly message: GenesisMessage }
  | { readonly kind: 'tick-later' }
  | { readonly kind: 'keep'; readonly certificate: GenesisCertificate }
  /** What `summary` says has changed; `refused` is new. */
  | { readonly kind: 'changed'; readonly refused: string | null }
  /** The committee is of one configuration: consensus may begin. Once. */
  | { readonly kind: 'done' };

export type Ceremony = {
  readonly trust: Trust;
  readonly own: GenesisReady;
  readonly sign: Sign;
  /** Matching attestations by signer, the own one among them. */
  readonly readies: Map<HashHex, GenesisReady>;
  /** Validators whose newest attestation does not match, and why. */
  readonly refused: Map<HashHex, string>;
  certificate: GenesisCertificate | null;
  /** The certificate is on disk. */
  isKept: boolean;
  /** Ticks since a quorum has been there without a certificate. */
  ticks: number;
};

type Emit = (effect: CeremonyEffect) => void;

export const GATHER_AFTER_TICKS = 4;

const WORDS: { readonly [mismatch in GenesisMismatch]: string } = {
  'config-hash': 'config hash differs',
  'peer-set': 'peer set differs',
};
const UNSIGNED = 'its attestation is not signed with its key';

/** Validator by its name, for sentences. */
const nameOf = ({ trust }: Ceremony, id: HashHex): string =>
  `validator ${validatorOf(trust.committee, id)?.name ?? id}`;

const weightOf = (ceremony: Ceremony): number => {
  let weight = 0;
  for (const { id, weight: own } of ceremony.trust.committee.validators) {
    if (ceremony.readies.has(id)) weight += own;
  }
  return weight;
};

const quorumWeight = ({ trust }: Ceremony): number =>
  quorum(trust.committee.validators.reduce((sum, one) => sum + one.weight, 0));

const hasQuorum = (ceremony: Ceremony): boolean => weightOf(ceremony) >= quorumWeight(ceremony);

/** In a line: `agreed`, or how far it is; and who is refused, by name. */
export const summary = (ceremony: Ceremony): string => {
  const words = ceremony.isKept
    ? ['agreed']
    : [`waiting: ${weightOf(ceremony)} of ${quorumWeight(ceremony)} have attested`];
  for (const [id, why] of ceremony.refused) words.push(`${nameOf(ceremony, id)}: ${why}`);
  return words.join('; ');
};

const refuse = (ceremony: Ceremony, from: HashHex, why: string, emit: Emit): void => {
  ceremony.readies.delete(from);
  if (ceremony.refused.get(from) === why) return;
  ceremony.refused.set(from, why);
  emit({ kind: 'changed', refused: `${nameOf(ceremony, from)}: ${why}` });
};

const keep = (ceremony: Ceremony, certificate: GenesisCertificate, emit: Emit): void => {
  ceremony.certificate = certificate;
  emit({ kind: 'keep', certificate });
};

const gather = (ceremony: Ceremony, emit: Emit): void => {
  const { own, readies, sign } = ceremony;
  const { chainId, configHash, peerSetHash, signer: gatherer } = own;
  const claim: GenesisClaim = { chainId, configHash, peerSetHash };
  const attestations = [...readies.values()]
    .map(({ signer, signature }) => ({ signer, signature }))
    .sort((a, b) => (a.signer < b.signer ? -1 : 1));
  const bytes = genesisCertificateBytes(
    claim,
    attestations.map((one) => one.signer),
  );
  keep(ceremony, { ...claim, attestations, gatherer, signature: sign(bytes) }, emit);
};

const gatherIfDue = (ceremony: Ceremony, emit: Emit): void => {
  if (ceremony.certificate !== null || !hasQuorum(ceremony)) return;
  const leads = leaderOf(ceremony.trust.committee, 0) === ceremony.own.signer;
  if (leads || ceremony.ticks >= GATHER_AFTER_TICKS) gather(ceremony, emit);
};

const attest = (ceremony: Ceremony, to: HashHex | null, emit: Emit): void =>
  emit({ kind: 'send', to, message: { kind: 'genesis-ready', ready: ceremony.own } });

const onReady = (ceremony: Ceremony, from: HashHex, ready: GenesisReady, emit: Emit): void => {
  const { trust, own, readies, refused, certificate } = ceremony;
  // Only the validator itself speaks for itself: one place for each member, no more.
  if (ready.signer !== from) return;
  if (!verifyReady(ready, trust).ok) return refuse(ceremony, from, UNSIGNED, emit);
  const mismatch = mismatchOf(ready, own);
  if (mismatch !== undefined) refuse(ceremony, from, WORDS[mismatch], emit);
  else if (refused.delete(from) || !readies.has(from)) {
    readies.set(from, ready);
    emit({ kind: 'changed', refused: null });
  }
  if (certificate !== null && ceremony.isKept) {
    return emit({ kind: 'send', to: from, message: { kind: 'genesis-certificate', certificate } });
  }
  gatherIfDue(ceremony, emit);
};

const onCertificate = (
  ceremony: Ceremony,
  from: HashHex,
  theirs: GenesisCertificate,
  emit: Emit,
): void => {
  if (ceremony.certificate !== null) return;
  const verified = verifyGenesisCertificate(theirs, ceremony.own, ceremony.trust);
  if (verified.ok) return keep(ceremony, theirs, emit);
  const { error } = verified;
  if (error === 'config-hash' || error === 'peer-set') {
    return refuse(ceremony, from, WORDS[error], emit);
  }
  refuse(ceremony, from, `its genesis certificate is refused (${error})`, emit);
};

const onKept = (ceremony: Ceremony, emit: Emit): void => {
  const { certificate } = ceremony;
  if (certificate === null || ceremony.isKept) return;
  ceremony.isKept = true;
  emit({ kind: 'send', to: null, message: { kind: 'genesis-certificate', certificate } });
  emit({ kind: 'changed', refused: null });
  emit({ kind: 'done' });
};

const onTick = (ceremony: Ceremony, emit: Emit): void => {
  if (ceremony.certificate !== null) return;
  if (hasQuorum(ceremony)) ceremony.ticks += 1;
  attest(ceremony, null, emit);
  emit({ kind: 'tick-later' });
  gatherIfDue(ceremony, emit);
};

export const step = (ceremony: Ceremony, event: CeremonyEvent, emit: Emit): void => {
  switch (event.kind) {
    case 'connected':
      // Also with a certificate: who refused an earlier attestation of ours hears that it is mended.
      return attest(ceremony, event.peer, emit);
    case 'heard':
      if (event.message.kind === 'genesis-ready') {
        return onReady(ceremony, event.from, event.message.ready, emit);
      }
      return onCertificate(ceremony, event.from, event.message.certificate, emit);
    case 'tick':
      return onTick(ceremony, emit);
    case 'kept':
      return onKept(ceremony, emit);
    default:
      return unreachable(event);
  }
};

/** `kept` is the certificate of an earlier start, verified; with it there is nothing left to do. */
export const open = (
  claim: GenesisClaim,
  self: { readonly id: HashHex; readonly sign: Sign },
  trust: Trust,
  kept: GenesisCertificate | null,
  emit: Emit,
): Ceremony => {
  const own = { ...claim, signer: self.id, signature: self.sign(readyBytes(claim)) };
  const ceremony: Ceremony = {
    trust,
    own,
    sign: self.sign,
    readies: new Map([[self.id, own]]),
    refused: new Map(),
    certificate: kept,
    isKept: kept !== null,
    ticks: 0,
  };
  emit({ kind: 'changed', refused: null });
  if (kept !== null) emit({ kind: 'done' });
  else onTick(ceremony, emit);
  return ceremony;
};
