import { defineActor } from '#runtime/actor.ts';
import { core } from './core.ts';
import { io } from './io.ts';
import { bus } from './protocol.ts';

export default defineActor({ self: bus, core, sends: [], io });
