import { crypto } from '#native/crypto.ts';
import { defineActor } from '#runtime/actor.ts';
import { bus } from '#runtime/bus/protocol.ts';
import { persistence } from '../persistence/protocol.ts';
import { createCore } from './core.ts';
import { io } from './io.ts';
import { feedback } from './protocol.ts';

export default defineActor({
  self: feedback,
  core: createCore(crypto),
  sends: ({ projectionWaitMs }) => (projectionWaitMs > 0 ? [bus, persistence] : [bus]),
  io,
});
