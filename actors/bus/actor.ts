import { defineActor } from '#runtime/actor.ts';
import { config } from './config.ts';
import { core } from './core.ts';
import { io } from './io.ts';
import { bus } from './protocol.ts';

export default defineActor({ self: bus, config, core, sends: [], io });
