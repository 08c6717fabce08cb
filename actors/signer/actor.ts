import { ensemble } from '#actors/ensemble/protocol.ts';
import { feedback } from '#actors/feedback/protocol.ts';
import { defineActor } from '#runtime/actor.ts';
import { bus } from '#runtime/bus/protocol.ts';
import { core } from './core.ts';
import { io } from './io.ts';
import { signer } from './protocol.ts';

export default defineActor({ self: signer, core, sends: [ensemble, feedback, bus], io });
