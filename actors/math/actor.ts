import { ensemble } from '#actors/ensemble/protocol.ts';
import { defineActor } from '#runtime/actor.ts';
import { core } from './core.ts';
import { math } from './protocol.ts';

export default defineActor({ self: math, core, sends: [ensemble] });
