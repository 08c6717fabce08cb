import { math } from '#actors/math/protocol.ts';
import { ml } from '#actors/ml/protocol.ts';
import { rules } from '#actors/rules/protocol.ts';
import { signer } from '#actors/signer/protocol.ts';
import { telemetry } from '#actors/telemetry/protocol.ts';
import { crypto } from '#native/crypto.ts';
import { defineActor } from '#runtime/actor.ts';
import { ensembleCore } from './core.ts';
import { ensemble } from './protocol.ts';

export default defineActor({
  self: ensemble,
  core: ensembleCore(crypto),
  sends: [telemetry, signer, rules, math, ml],
});
