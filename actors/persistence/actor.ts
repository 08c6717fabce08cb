import { at, defineActor } from '#runtime/actor.ts';
import { bus } from '#runtime/bus/protocol.ts';
import { executor } from '../executor/protocol.ts';
import { core } from './core.ts';
import { io } from './io.ts';
import { persistence } from './protocol.ts';

export default defineActor({
  self: persistence,
  core,
  sends: (settings) => [at(executor, settings.from), bus],
  io,
});
