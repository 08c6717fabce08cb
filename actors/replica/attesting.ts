/** Binds the genesis ceremony to the actor: its effects become frames, io, a timer and what the status shows. */
import { peerSetHash } from '#proto/consensus/genesis-ready.ts';
import type { GenesisMessage } from '#proto/consensus/messages.ts';
import { encodeMessage } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { unreachable } from '#proto/result.ts';
import { type CeremonyEffect, type CeremonyEvent, open, step, summary } from './ceremony.ts';
import type { Fx, State } from './messages.ts';

const sendTo = (state: State, to: HashHex | null, message: GenesisMessage, fx: Fx): void => {
  const frame = encodeMessage(message);
  // Not into the queues of those who are away: each is attested to when it connects.
  for (const peer of to === null ? state.connected : [to]) fx.io('send', { to: peer, frame });
};

const carryOut = (state: State, effect: CeremonyEffect, fx: Fx): void => {
  switch (effect.kind) {
    case 'send':
      return sendTo(state, effect.to, effect.message, fx);
    case 'tick-later':
      return fx.after(state.config.heartbeatMs, { kind: 'ceremonyTick' }, 'ceremony');
    case 'keep':
      return fx.io('keepCertificate', effect.certificate);
    case 'changed':
      if (effect.refused === null) return;
      fx.emit('genesis_refused', 1);
      return fx.log('error', `the genesis of a peer is refused: ${effect.refused}`, {
        own: state.opened!.configHash,
      });
    case 'done':
      return fx.log('info', 'the committee has agreed on the genesis', {
        configHash: state.opened!.configHash,
      });
    default:
      return unreachable(effect);
  }
};

const carryAll = (state: State, effects: readonly CeremonyEffect[], fx: Fx): boolean => {
  for (const effect of effects) carryOut(state, effect, fx);
  if (effects.some(({ kind }) => kind === 'changed')) showGenesis(state, fx);
  return effects.some(({ kind }) => kind === 'done');
};

/** What `status` says of it; '' before the genesis file is read. */
export const genesisSummary = ({ ceremony }: State): string =>
  ceremony === undefined ? '' : summary(ceremony);

const showGenesis = (state: State, fx: Fx): void =>
  fx.signal({ kind: 'fact', name: 'genesis', value: genesisSummary(state) });

/** Begins or, with the certificate of an earlier start, ends at once. True: consensus may begin. */
export const openCeremony = (state: State, fx: Fx): boolean => {
  const { id, sign, committee, configHash, certificate } = state.opened!;
  const { crypto } = state;
  const peers = peerSetHash(committee, crypto);
  const claim = { chainId: committee.chainId, configHash, peerSetHash: peers };
  const effects: CeremonyEffect[] = [];
  const emit = (effect: CeremonyEffect): void => {
    effects.push(effect);
  };
  state.ceremony = open(claim, { id, sign }, { committee, crypto }, certificate, emit);
  return carryAll(state, effects, fx);
};

/** True: consensus may begin, said once. Before the genesis file is read nothing is heard: peers repeat. */
export const tellCeremony = (state: State, event: CeremonyEvent, fx: Fx): boolean => {
  const { ceremony } = state;
  if (ceremony === undefined) return false;
  const effects: CeremonyEffect[] = [];
  step(ceremony, event, (effect) => effects.push(effect));
  return carryAll(state, effects, fx);
};
