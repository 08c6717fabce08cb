import { createServer } from 'node:net';
import { z } from 'zod';
import { address, defineActor } from '#runtime/actor.ts';

const config = z.strictObject({ port: z.int().describe('TCP port on the loopback') });

export default defineActor({
  self: address('listener', {}),
  config,
  core: { init: () => ({}), step: () => undefined },
  sends: [],
  io: async ({ port }: z.output<typeof config>) => {
    const server = createServer();
    await new Promise<void>((done, failed) => {
      server.once('error', failed);
      server.listen(port, '127.0.0.1', done);
    });
    return { commands: {}, close: () => void server.close() };
  },
});
