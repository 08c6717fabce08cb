/** Answers each batch with what its windows say against what was normal before them. */
import { ensemble } from '#actors/ensemble/protocol.ts';
import { ABSTAINED, encodeVerdict, FINDINGS_MAX } from '#proto/verdict.ts';
import type { Core, Effects, MessagesTo } from '#runtime/actor.ts';
import type { MathConfig } from './config.ts';
import { judge, type Memory, newMemory } from './judge.ts';
import type { math } from './protocol.ts';

export type Self = MessagesTo<typeof math>;
type Fx = Effects<Self>;

export type State = { readonly config: MathConfig; epoch: number; memory: Memory };

const step = (state: State, batch: Self, fx: Fx): void => {
  const { epoch, seq } = batch;
  if (epoch < state.epoch) return;
  if (epoch > state.epoch) {
    state.epoch = epoch;
    state.memory = newMemory();
  }
  const verdict = { kind: 'verdict', engine: 'math', epoch, seq } as const;
  if (batch.windows === 0) {
    fx.tell(ensemble, { ...verdict, ...ABSTAINED });
    return;
  }
  const { scores, confidences, findings } = judge(state.config, state.memory, batch);
  fx.emit('findings', findings.length);
  fx.gauge('baselines', state.memory.hosts.size);
  fx.tell(ensemble, {
    ...verdict,
    ...encodeVerdict(scores, confidences, findings.slice(0, FINDINGS_MAX)),
  });
};

export const core: Core<MathConfig, State, Self> = {
  init: (config) => ({ config, epoch: 0, memory: newMemory() }),
  start: (_state, fx) => fx.signal({ kind: 'ready' }),
  step,
};
