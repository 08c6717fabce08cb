/** The HTTP side of the API actor: requests become messages, answers become responses. */
import type { Io } from '#runtime/actor.ts';
import type { ApiConfig } from './config.ts';
import type { Answer, Commands, Self } from './core.ts';
import { problem } from './problem.ts';
import { openServer } from './server.ts';

const full: Answer = {
  kind: 'problem',
  problem: problem('unavailable', 'the mailbox of the API actor is full'),
};

export const io: Io<ApiConfig, Self, Commands> = async (config, port) => {
  /** Requests that the core has not answered yet; each is answered within the deadlines of its asks. */
  const waiting = new Map<number, (answer: Answer) => void>();
  let last = 0;
  const server = await openServer(
    config,
    port,
    (request) =>
      new Promise((resolve) => {
        const id = ++last;
        if (!port.deliver({ kind: 'request', id, request })) return resolve(full);
        waiting.set(id, resolve);
      }),
  );
  port.deliver({ kind: 'listening', url: server.url });
  return {
    commands: {
      respond: ({ id, answer }) => {
        const resolve = waiting.get(id);
        waiting.delete(id);
        resolve?.(answer);
      },
    },
    close: () => server.close(),
  };
};
