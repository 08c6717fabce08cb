import { z } from 'zod';
import { address, type Core, defineActor } from '#runtime/actor.ts';

type Self = { readonly kind: 'tick' };
const config = z.strictObject({
  completeAfter: z.int().min(0).default(0).describe('ticks until complete; 0: never'),
  drainMs: z.int().min(0).default(0).describe('how long a drain takes, ms'),
});
type Config = z.output<typeof config>;
type State = { readonly config: Config; ticks: number; isDraining: boolean };

const core: Core<Config, State, Self> = {
  init: (given) => ({ config: given, ticks: 0, isDraining: false }),
  start: (_state, fx) => {
    fx.after(5, { kind: 'tick' }, 'tick');
    fx.log('info', 'ticker is up', { password: 'hunter2' });
  },
  step: (state, _message, fx) => {
    if (state.isDraining) return fx.stop('normal');
    state.ticks++;
    fx.emit('stage_flows', 1);
    if (state.ticks === state.config.completeAfter) fx.signal({ kind: 'complete' });
    fx.after(5, { kind: 'tick' }, 'tick');
  },
  drain: (state, fx) => {
    state.isDraining = true;
    fx.log('info', 'ticker drains');
    fx.after(state.config.drainMs, { kind: 'tick' }, 'tick');
  },
};

export default defineActor({ self: address('ticker', {}), config, core, sends: [] });
