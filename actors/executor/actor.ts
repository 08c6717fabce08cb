import { ingest } from '#actors/ingest/protocol.ts';
import { crypto } from '#native/crypto.ts';
import { defineActor } from '#runtime/actor.ts';
import { config } from './config.ts';
import { executorCore } from './core.ts';
import { io } from './io.ts';
import { executor } from './protocol.ts';

export default defineActor({
  self: executor,
  config,
  core: executorCore(crypto),
  sends: [ingest],
  io,
});
