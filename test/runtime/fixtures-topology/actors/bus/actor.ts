import { address, defineActor } from '#runtime/actor.ts';
import { config } from './config.ts';

const self = address('bus', {});

export default defineActor({
  self,
  config,
  core: { init: () => ({}), step: () => undefined },
  sends: [],
});
