import { ensemble } from '#actors/ensemble/protocol.ts';
import { math } from '#actors/math/protocol.ts';
import { ml } from '#actors/ml/protocol.ts';
import { rules } from '#actors/rules/protocol.ts';
import { telemetry } from '#actors/telemetry/protocol.ts';
import { defineActor } from '#runtime/actor.ts';
import { core } from './core.ts';
import { features } from './protocol.ts';

export default defineActor({
  self: features,
  core,
  sends: [ensemble, rules, math, ml, telemetry],
});
