/** A validator that lies with its own key: forged certificates, mangled messages, proposals that rest on nothing. */

import { hex } from '#proto/bytes.ts';
import {
  type Qc,
  type SignedBy,
  type Tc,
  timeoutBytes,
  voteBytes,
} from '#proto/consensus/certificate.ts';
import { proposalBytes } from '#proto/consensus/evidence.ts';
import { blockHash, HEADER_VERSION, type Header } from '#proto/consensus/header.ts';
import { type Heartbeat, heartbeatBytes, type Message } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { txRootOf } from '#proto/consensus/transaction.ts';
import type { Captured } from './network.ts';
import type { SimulatedNode } from './node.ts';
import type { Random } from './random.ts';
import { simulatedCrypto as crypto } from './signatures.ts';

type Say = (message: Message) => void;

const heartbeatWith = (node: SimulatedNode, highQc: Qc, tc: Tc | null): Heartbeat => {
  const { committee, self, sign } = node.params;
  const unsigned: Omit<Heartbeat, 'signature'> = {
    kind: 'heartbeat',
    epoch: committee.epoch,
    view: highQc.view + 1,
    highQc,
    tc,
    committedHeight: 1_000_000,
    signer: self,
  };
  return { ...unsigned, signature: sign(heartbeatBytes(committee.chainId, unsigned)) };
};

/** A QC for a made-up block: of the own vote over and over, or with signatures of others out of thin air. */
export const forgedQc = (node: SimulatedNode, chance: Random, repeats: boolean): Qc => {
  const { committee, self, sign } = node.params;
  const view = node.machine.view + chance.int(0, 2);
  const blockHash = hex(crypto.sha256(Uint8Array.of(chance.int(0, 255), chance.int(0, 255))));
  const unsigned = { epoch: committee.epoch, view, blockHash };
  const own = sign(voteBytes(committee.chainId, unsigned));
  const signatures: SignedBy[] = committee.validators.map(({ id }) => ({
    signer: repeats ? self : id,
    signature: repeats || id === self ? own : new Uint8Array(64),
  }));
  return { ...unsigned, signatures };
};

const forgedTc = (node: SimulatedNode): Tc => {
  const { committee, self, sign } = node.params;
  const { view } = node.machine;
  const unsigned = { epoch: committee.epoch, view, highQcView: 0 };
  const signature = sign(timeoutBytes(committee.chainId, unsigned));
  const claims = committee.validators.map(() => ({ ...unsigned, signer: self, signature }));
  return { epoch: committee.epoch, view, claims, highQc: node.machine.genesisQc };
};

/** In its own turn: a block on any parent that others may still accept, whatever the rules want, and a vote for it. */
export const baseless = (node: SimulatedNode, chance: Random, atMs: number): readonly Message[] => {
  const { machine, params } = node;
  const { committee, self, sign } = params;
  const parents: { readonly hash: HashHex; readonly header: Header }[] = [
    machine.head,
    ...[...machine.nodes.values()].map(({ hash, block }) => ({ hash, header: block.header })),
  ];
  const parent = chance.pick(parents);
  const qc = machine.verified.get(parent.hash);
  if (qc === undefined || parent.header.view >= machine.view) return [];
  const header: Header = {
    version: HEADER_VERSION,
    chainId: committee.chainId,
    epoch: committee.epoch,
    height: parent.header.height + 1,
    view: machine.view,
    parentHash: parent.hash,
    parentView: parent.header.view,
    txRoot: txRootOf([], crypto),
    stateRoot: parent.header.stateRoot,
    proposerId: self,
    timeMs: Math.max(parent.header.timeMs + 1, Math.floor(atMs)),
    txCount: 0,
    payloadBytes: 0,
  };
  const hash = blockHash(header, crypto);
  const signature = sign(proposalBytes(header, hash));
  const ballot = { epoch: committee.epoch, view: machine.view, blockHash: hash };
  const vote = { ...ballot, signer: self, signature: sign(voteBytes(committee.chainId, ballot)) };
  return [
    { kind: 'proposal', block: { header, txs: [] }, qc, tc: machine.tc, signature },
    { kind: 'vote', vote },
  ];
};

/** A captured message with one thing wrong. */
const mangled = (chance: Random, captured: readonly Captured[]): Message | null => {
  if (captured.length === 0) return null;
  const { message } = chance.pick(captured);
  switch (message.kind) {
    case 'vote':
      return { kind: 'vote', vote: { ...message.vote, view: message.vote.view + 1 } };
    case 'timeout': {
      const { claim } = message.timeout;
      return {
        kind: 'timeout',
        timeout: { ...message.timeout, claim: { ...claim, highQcView: claim.highQcView + 1 } },
      };
    }
    case 'proposal':
      return { ...message, block: { ...message.block, txs: [] }, signature: new Uint8Array(64) };
    case 'new-view':
      return { kind: 'new-view', tc: { ...message.tc, view: message.tc.view + 3 } };
    case 'sync-reply':
      return { ...message, blocks: message.blocks.slice(1) };
    default:
      return message;
  }
};

/** To those who want to catch up, half of the time: blocks left out, swapped bodies, another anchor. */
export const distorted = (chance: Random, message: Message): Message => {
  if (chance.chance(0.5)) return message;
  if (message.kind === 'block-reply') {
    return { ...message, block: { ...message.block, txs: message.block.txs.slice(1) } };
  }
  if (message.kind !== 'sync-reply' || message.proof === null) return message;
  const { blocks, proof } = message;
  const distortions: (() => Message)[] = [
    () => ({ ...message, blocks: blocks.slice(0, -1) }),
    () => ({ ...message, blocks: blocks.map(({ header }) => ({ header, txs: [] })) }),
    () => ({ ...message, proof: { ...proof, nextQc: { ...proof.nextQc, signatures: [] } } }),
    () => ({ ...message, blocks: [], proof: null }),
  ];
  return chance.pick(distortions)();
};

/** One act of malice. */
export const misbehave = (
  node: SimulatedNode,
  chance: Random,
  captured: readonly Captured[],
  say: Say,
): void => {
  const acts: (() => Message | null)[] = [
    () => heartbeatWith(node, forgedQc(node, chance, true), null),
    () => heartbeatWith(node, forgedQc(node, chance, false), null),
    () => heartbeatWith(node, node.machine.highQc, null),
    () => ({ kind: 'new-view', tc: forgedTc(node) }),
    () => mangled(chance, captured),
  ];
  const message = chance.pick(acts)();
  if (message !== null) say(message);
};
