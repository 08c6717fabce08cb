/** One machine, fed by hand, with all that it says written down. It is the first validator of `signed.ts` by id. */

import {
  type Effect,
  type Event,
  LIMITS,
  type Params,
  type StoredBlock,
} from '#actors/replica/machine/events.ts';
import { init, type State, step } from '#actors/replica/machine/machine.ts';
import type { DurableRecord } from '#actors/replica/machine/record.ts';
import type { Block } from '#proto/consensus/block.ts';
import type { Qc, Tc } from '#proto/consensus/certificate.ts';
import { blockHash, type Header } from '#proto/consensus/header.ts';
import type { Message } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { simulatedCrypto as crypto, type SimulatedKey } from './signatures.ts';
import { committee, genesis, idOfKey, keyOf, ordered, signHeader } from './signed.ts';

export const selfKey = ordered[0] as SimulatedKey;
export const others = ordered.slice(1) as [SimulatedKey, SimulatedKey, SimulatedKey];

export const soloParams: Params = {
  self: idOfKey(selfKey),
  committee,
  genesis,
  crypto,
  sign: selfKey.sign,
  limits: LIMITS,
};

export type Solo = {
  readonly state: State;
  feed(event: Event, atMs?: number): readonly Effect[];
  hear(from: SimulatedKey, message: Message, atMs?: number): readonly Effect[];
  /** Confirms what the last effects asked of disk and executor, until nothing is asked any more. */
  serve(effects: readonly Effect[], atMs?: number): readonly Effect[];
};

export const NOW_MS = genesis.timeMs + 1_000;

export const solo = (
  durable: DurableRecord | null = null,
  blocks: readonly StoredBlock[] = [],
): Solo => {
  const state = init(soloParams);
  const feed = (event: Event, atMs = NOW_MS): readonly Effect[] => {
    const effects: Effect[] = [];
    step(state, event, (effect) => effects.push(effect), atMs);
    return effects;
  };
  const answer = (effect: Effect): Event[] => {
    switch (effect.kind) {
      case 'persist':
        return [{ kind: 'persisted', seq: effect.seq }];
      case 'execute': {
        const { stateRoot } = effect.block.header;
        return [{ kind: 'executed', hash: effect.hash, outcome: 'ok', stateRoot, reason: '' }];
      }
      case 'commit':
        return effect.blocks.map(({ hash }) => ({
          kind: 'committed',
          hash,
          outcome: 'ok',
          reason: '',
        }));
      default:
        return [];
    }
  };
  const serve = (effects: readonly Effect[], atMs = NOW_MS): readonly Effect[] => {
    const all = [...effects];
    for (let at = 0; at < all.length; at += 1) {
      for (const event of answer(all[at] as Effect)) all.push(...feed(event, atMs));
    }
    return all;
  };
  serve(feed({ kind: 'start', durable, blocks, head: genesis, proof: null }));
  return {
    state,
    feed,
    hear: (from, message, atMs) => feed({ kind: 'message', from: idOfKey(from), message }, atMs),
    serve,
  };
};

export const proposalOf = (block: Block, qc: Qc, tc: Tc | null): Message => {
  const leader = keyOf(block.header.proposerId);
  return { kind: 'proposal', block, qc, tc, signature: signHeader(leader, block.header).signature };
};

export const leaderKey = (header: Header): SimulatedKey => keyOf(header.proposerId);
export const hashOf = (header: Header): HashHex => blockHash(header, crypto);

export const ofKind = <K extends Effect['kind']>(
  effects: readonly Effect[],
  kind: K,
): Extract<Effect, { kind: K }>[] =>
  effects.filter((effect): effect is Extract<Effect, { kind: K }> => effect.kind === kind);

export const votesIn = (effects: readonly Effect[]): number[] =>
  ofKind(effects, 'broadcast').flatMap(({ message }) =>
    message.kind === 'vote' ? [message.vote.view] : [],
  );
