import { executor } from '#actors/executor/protocol.ts';
import { replica } from '#actors/replica/protocol.ts';
import { crypto } from '#native/crypto.ts';
import { defineActor } from '#runtime/actor.ts';
import { bus } from '#runtime/bus/protocol.ts';
import { ingestCore } from './core.ts';
import { io } from './io.ts';
import { ingest } from './protocol.ts';

export default defineActor({
  self: ingest,
  core: ingestCore(crypto),
  sends: [bus, executor, replica],
  io,
});
