/** The routes of /api/v1 on a loopback port. */
import type { Server } from 'node:http';
import fastify, { type FastifyInstance, type FastifyRequest } from 'fastify';
import type { IoPort, TreeNode } from '#runtime/actor.ts';
import type { ApiConfig } from './config.ts';
import type { Answer, Self } from './core.ts';
import { noParameters, RESOURCES, type Resource } from './decode.ts';
import { projectionIn, stagesIn } from './exposition.ts';
import {
  clientError,
  errorHandler,
  guard,
  ProblemError,
  requestIdOf,
  sendProblem,
  withHeaders,
} from './http.ts';
import { addKillSwitch } from './kill-switch.ts';
import { follow, liveFrames } from './live.ts';
import { authorityOf } from './operator-token.ts';
import { problem } from './problem.ts';
import type { Request, SystemFacts } from './request.ts';
import { addRoute, type Handler, PREFIX } from './routes.ts';
import type { HealthView, View } from './views.ts';

/** Its clients stay, so they are counted apart from requests. */
const LIVE = '/live';
const METRICS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
const KEEP_ALIVE_MS = 5000;
const CHECK_CONNECTIONS_MS = 500;
const HEADER_BYTES_MAX = 16 << 10;
/** An id has at most 128 bytes, each three characters in the path. */
const PARAM_CHARACTERS_MAX = 384;

export type ApiServer = {
  /** As http://127.0.0.1:9441/api/v1. */
  readonly url: string;
  readonly close: () => Promise<void>;
};

const restartsIn = (node: TreeNode): number =>
  (node.kind === 'actor' ? node.restarts : 0) +
  (node.children ?? []).reduce((sum, child) => sum + restartsIn(child), 0);

/** The running system did not answer: a matter of time, not of the request. */
const orUnavailable = async <T>(call: Promise<T>): Promise<T> => {
  try {
    return await call;
  } catch (fault) {
    throw new ProblemError('unavailable', fault instanceof Error ? fault.message : String(fault));
  }
};

const factsOf = async ({ system, node }: IoPort<Self>): Promise<SystemFacts> => {
  const asked = Promise.all([system.tree(), system.metrics(), system.notices()]);
  const [tree, metrics, notices] = await orUnavailable(asked);
  return {
    node: node.name,
    stages: stagesIn(metrics),
    restarts: restartsIn(tree),
    projection: projectionIn(metrics),
    notices,
  };
};

const newApp = (config: ApiConfig, port: IoPort<Self>): FastifyInstance => {
  const onError = errorHandler(port);
  const app = fastify({
    logger: false,
    genReqId: requestIdOf,
    bodyLimit: config.bodyBytesMax,
    requestTimeout: config.requestMs,
    // A request that is slow to arrive is given up before one that is slow to be answered.
    handlerTimeout: config.requestMs + 2 * CHECK_CONNECTIONS_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: PARAM_CHARACTERS_MAX },
    // What the router refuses passes no hook.
    frameworkErrors: (error, request, reply) => {
      withHeaders(reply, request.id);
      onError(error, request, reply);
    },
    clientErrorHandler: clientError,
    http: {
      maxHeaderSize: HEADER_BYTES_MAX,
      connectionsCheckingInterval: Math.min(CHECK_CONNECTIONS_MS, config.requestMs),
      headersTimeout: config.requestMs,
      requireHostHeader: false,
    },
  });
  app.server.maxConnections = config.connectionsMax;
  app.setErrorHandler(onError);
  app.setNotFoundHandler((request, reply) => {
    const detail = `there is no ${request.url.split('?')[0]}; everything is below ${PREFIX}`;
    return sendProblem(request, reply, problem('not-found', detail));
  });
  // A body is read up to the limit, whatever its type; what becomes of it is for the one resource that takes one.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    '*',
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, body: Buffer) => body,
  );
  return app;
};

const plainly = (request: FastifyRequest): void => {
  const query = noParameters(request.query);
  if (!query.ok) throw new ProblemError('bad-parameter', query.error.detail, query.error);
};

type Ask = (request: Request) => Promise<Answer>;

const addResource = (app: FastifyInstance, { path, decode }: Resource, ask: Ask): void =>
  addRoute(app, path, {
    GET: async (request, reply) => {
      const decoded = decode(request.params, request.query);
      if (!decoded.ok) return sendProblem(request, reply, decoded.error);
      const answer = await ask(decoded.value);
      if (answer.kind === 'problem') return sendProblem(request, reply, answer.problem);
      return answer.view;
    },
  });

const addSystemRoutes = (app: FastifyInstance, port: IoPort<Self>): void => {
  const health: Handler = async (request): Promise<HealthView> => {
    plainly(request);
    return { status: 'ok', node: port.node.name };
  };
  const metrics: Handler = async (request, reply) => {
    plainly(request);
    const text = await orUnavailable(port.system.metrics());
    return reply.type(METRICS_TYPE).send(text);
  };
  const tree: Handler = async (request) => {
    plainly(request);
    return orUnavailable(port.system.tree());
  };
  addRoute(app, '/health', { GET: health });
  addRoute(app, '/metrics', { GET: metrics });
  addRoute(app, '/runtime/tree', { GET: tree });
};

const addOverview = (
  app: FastifyInstance,
  config: ApiConfig,
  port: IoPort<Self>,
  ask: Ask,
): void => {
  const overview = async (): Promise<View> => {
    const answer = await ask({ kind: 'overview', system: await factsOf(port) });
    if (answer.kind === 'view') return answer.view;
    const { detail, status: _, ...rest } = answer.problem;
    throw new ProblemError('unavailable', detail, rest);
  };
  const shown: Handler = async (request) => {
    plainly(request);
    return overview();
  };
  addRoute(app, '/dashboard/overview', { GET: shown });
  const frames = liveFrames(overview, config.liveMs, (reason) =>
    port.log('debug', 'no overview for the live stream', { reason: String(reason) }),
  );
  let clients = 0;
  const live: Handler = async (request, reply) => {
    plainly(request);
    if (clients >= config.liveClientsMax) {
      const detail = `${config.liveClientsMax} clients follow the live stream already`;
      return sendProblem(request, reply, problem('unavailable', detail));
    }
    clients += 1;
    port.gauge('live_clients', clients);
    reply.hijack();
    for (const [name, value] of Object.entries(reply.getHeaders())) {
      if (value !== undefined) reply.raw.setHeader(name, value);
    }
    reply.raw.writeHead(200, { 'content-type': 'text/event-stream' });
    follow(frames, reply.raw, () => {
      clients -= 1;
      port.gauge('live_clients', clients);
    });
    return reply;
  };
  addRoute(app, LIVE, { GET: live }, true);
};

const REMEDIES: { readonly [code: string]: string } = {
  EADDRINUSE: 'the port is in use: stop what listens there, or choose another',
  EACCES: 'the port may not be opened by this user: choose one above 1023',
  EADDRNOTAVAIL: 'this machine has no such address: use 127.0.0.1',
};

const addressOf = (server: Server, host: string): string => {
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}${PREFIX}`;
};

/** Rejects with an error that names the address and the remedy when the address cannot be had. */
export const openServer = async (
  config: ApiConfig,
  port: IoPort<Self>,
  ask: Ask,
): Promise<ApiServer> => {
  const app = newApp(config, port);
  guard(app, config, port, LIVE);
  addSystemRoutes(app, port);
  addOverview(app, config, port, ask);
  for (const resource of RESOURCES) addResource(app, resource, ask);
  const authority = authorityOf(config.operatorTokenFile, port.now, (fault) =>
    port.log('error', 'nobody may write through the API', { fault }),
  );
  addKillSwitch(app, authority, port, ask);
  try {
    await app.listen({ host: config.host, port: config.port });
  } catch (cause) {
    const { code = '', message } = cause as NodeJS.ErrnoException;
    const remedy = REMEDIES[code] ?? message;
    const setting = `${port.path}.config.port`;
    const text = `the API cannot listen on ${config.host}:${config.port}: ${remedy} (${setting})`;
    throw new Error(text, { cause });
  }
  return { url: addressOf(app.server, config.host), close: () => app.close() };
};
