import { ensemble } from '#actors/ensemble/protocol.ts';
import { defineActor } from '#runtime/actor.ts';
import { core } from './core.ts';
import { io } from './io.ts';
import { rules } from './protocol.ts';

export default defineActor({ self: rules, core, io, sends: [ensemble] });
