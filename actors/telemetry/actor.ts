import { features } from '#actors/features/protocol.ts';
import { defineActor } from '#runtime/actor.ts';
import { config } from './config.ts';
import { core } from './core.ts';
import { io } from './io.ts';
import { telemetry } from './protocol.ts';

export default defineActor({ self: telemetry, config, core, sends: [features], io });
