import { crypto } from '#native/crypto.ts';
import { defineActor } from '#runtime/actor.ts';
import { bus } from '#runtime/bus/protocol.ts';
import { createCore } from './core.ts';
import { io } from './io.ts';
import { enforcer } from './protocol.ts';

export default defineActor({
  self: enforcer,
  core: createCore(crypto),
  sends: [bus],
  io,
});
