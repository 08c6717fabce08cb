import { features } from '#actors/features/protocol.ts';
import { defineActor } from '#runtime/actor.ts';
import { core } from './core.ts';
import { io } from './io.ts';
import { telemetry } from './protocol.ts';

export default defineActor({ self: telemetry, core, sends: [features], io });
