/** Routes below /api/v1: a path with a handler for each method that it knows; every other method is told so. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { sendProblem } from './http.ts';
import { problem } from './problem.ts';

export const PREFIX = '/api/v1';

export type Handler = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>;

export type Handlers = {
  readonly GET: Handler;
  readonly PUT?: Handler;
  readonly DELETE?: Handler;
};

/** HEAD answers as GET does, but for a stream. */
export const addRoute = (
  app: FastifyInstance,
  path: string,
  handlers: Handlers,
  isStream = false,
): void => {
  const url = PREFIX + path;
  const allowed = isStream ? ['GET'] : ['GET', 'HEAD'];
  app.get(url, { exposeHeadRoute: !isStream }, handlers.GET);
  for (const method of ['PUT', 'DELETE'] as const) {
    const handler = handlers[method];
    if (handler === undefined) continue;
    app.route({ method, url, handler });
    allowed.push(method);
  }
  const allow = allowed.join(', ');
  app.route({
    method: app.supportedMethods.filter((method) => !allowed.includes(method)),
    url,
    handler: async (request, reply) => {
      reply.header('allow', allow);
      const detail = `${request.method} is not possible here, only ${allow}`;
      return sendProblem(request, reply, problem('method-not-allowed', detail));
    },
  });
};
