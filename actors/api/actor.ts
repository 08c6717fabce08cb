import { crypto } from '#native/crypto.ts';
import { at, defineActor } from '#runtime/actor.ts';
import { enforcer } from '../enforcer/protocol.ts';
import { executor } from '../executor/protocol.ts';
import { feedback } from '../feedback/protocol.ts';
import { replica } from '../replica/protocol.ts';
import { branchesOf } from './committee-answers.ts';
import { createCore } from './core.ts';
import { io } from './io.ts';
import { api } from './protocol.ts';

export default defineActor({
  self: api,
  core: createCore(crypto),
  sends: (settings) => [
    ...(settings.shows.includes('chain')
      ? [at(executor, settings.from), ...branchesOf(settings).map((branch) => at(replica, branch))]
      : []),
    ...(settings.shows.includes('feedback') ? [feedback] : []),
    ...(settings.shows.includes('enforcement') ? [enforcer] : []),
  ],
  io,
});
