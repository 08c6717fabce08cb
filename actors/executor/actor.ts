import { ingest } from '#actors/ingest/protocol.ts';
import { crypto } from '#native/crypto.ts';
import { defineActor } from '#runtime/actor.ts';
import { executorCore } from './core.ts';
import { io } from './io.ts';
import { executor } from './protocol.ts';

export default defineActor({
  self: executor,
  core: executorCore(crypto),
  sends: [ingest],
  io,
});
