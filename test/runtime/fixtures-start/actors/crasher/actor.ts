import { z } from 'zod';
import { address, defineActor } from '#runtime/actor.ts';

type Self = { readonly kind: 'fall' };

export default defineActor({
  self: address('crasher', {}),
  config: z.strictObject({}),
  core: {
    init: () => ({}),
    start: (_state, fx) => fx.after(20, { kind: 'fall' }),
    step: (_state: object, _message: Self) => {
      throw new Error('out of luck');
    },
  },
  sends: [],
});
