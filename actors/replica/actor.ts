import { crypto } from '#native/crypto.ts';
import { defineActor } from '#runtime/actor.ts';
import { executor } from '../executor/protocol.ts';
import { ingest } from '../ingest/protocol.ts';
import { createCore } from './core.ts';
import { io } from './io.ts';
import { replica } from './protocol.ts';

export default defineActor({
  self: replica,
  core: createCore(crypto),
  sends: [executor, ingest],
  io,
});
