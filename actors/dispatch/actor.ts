import { executor } from '#actors/executor/protocol.ts';
import { crypto } from '#native/crypto.ts';
import { defineActor } from '#runtime/actor.ts';
import { bus } from '#runtime/bus/protocol.ts';
import { dispatchCore } from './core.ts';
import { io } from './io.ts';
import { dispatch } from './protocol.ts';

export default defineActor({
  self: dispatch,
  core: dispatchCore(crypto),
  sends: [bus, executor],
  io,
});
