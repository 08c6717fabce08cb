/** How the server speaks HTTP: request ids, headers, problems, limits and the log. */
import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { IoPort } from '#runtime/actor.ts';
import type { ApiConfig } from './config.ts';
import type { Self } from './core.ts';
import { namesThisMachine } from './loopback.ts';
import { codeOfStatus, PROBLEM_TYPE, type Problem, type ProblemCode, problem } from './problem.ts';

const REQUEST_ID = 'x-request-id';
const LOGGED_CHARACTERS_MAX = 256;
const RETRY_AFTER_S = 1;

/** No HSTS: RFC 6797 forbids it over plain HTTP, and this server is not reached in any other way. */
const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

/** The client's own id where it is fit for a log line, else a new one. */
export const requestIdOf = (request: IncomingMessage): string => {
  const given = request.headers[REQUEST_ID];
  return typeof given === 'string' && /^[\w.:-]{1,64}$/.test(given) ? given : randomUUID();
};

export const withHeaders = (reply: FastifyReply, id: string): FastifyReply =>
  reply.headers(SECURITY_HEADERS).header(REQUEST_ID, id);

export const sendProblem = (
  request: FastifyRequest,
  reply: FastifyReply,
  what: Problem,
): FastifyReply => {
  if (what.status === 503) reply.header('retry-after', RETRY_AFTER_S);
  const body = { ...what, instance: request.url, requestId: request.id };
  return reply.code(what.status).type(PROBLEM_TYPE).send(body);
};

/** A problem that a handler throws. */
export class ProblemError extends Error {
  readonly problem: Problem;
  constructor(...given: Parameters<typeof problem>) {
    super(given[1]);
    this.name = 'ProblemError';
    this.problem = problem(...given);
  }
}

/** What the HTTP library refuses, in our words; undefined for a fault of ours. */
const refusalOf = (error: { statusCode?: number; code?: string; message: string }) => {
  const { statusCode = 500, code, message } = error;
  if (code === 'FST_ERR_HANDLER_TIMEOUT') {
    return problem('unavailable', 'the answer was not ready in time');
  }
  if (code === 'FST_ERR_MAX_PARAM_LENGTH') {
    return problem('uri-too-long', 'a part of the path is too long; no id of ours is');
  }
  if (code === 'FST_ERR_BAD_URL') {
    return problem('bad-request', 'the path is not a valid URL: check its percent-encoding');
  }
  return statusCode < 500 ? problem(codeOfStatus(statusCode), message) : undefined;
};

export const errorHandler =
  (port: Pick<IoPort<Self>, 'log' | 'emit'>) =>
  (error: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply => {
    if (error instanceof ProblemError) return sendProblem(request, reply, error.problem);
    const fault = error instanceof Error ? error : new Error(String(error));
    const refusal = refusalOf(fault);
    if (refusal !== undefined) return sendProblem(request, reply, refusal);
    port.emit('faults', 1);
    port.log('error', 'a request met a fault of the server', {
      requestId: request.id,
      path: request.url.slice(0, LOGGED_CHARACTERS_MAX),
      fault: fault.stack ?? fault.message,
    });
    const detail = `the log of the node says more under request id ${request.id}`;
    return sendProblem(request, reply, problem('internal-error', detail));
  };

const CLIENT_FAULTS: { readonly [code: string]: readonly [ProblemCode, string] } = {
  ERR_HTTP_REQUEST_TIMEOUT: ['request-timeout', 'the request was not complete in time'],
  HPE_HEADER_OVERFLOW: ['headers-too-large', 'send fewer or shorter headers'],
};

/** Bytes that are no HTTP request: answered and hung up on. */
export const clientError = (error: Error & { readonly code?: string }, socket: Socket): void => {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const [code, detail] = CLIENT_FAULTS[error.code ?? ''] ?? ['bad-request', 'not an HTTP request'];
  const what = problem(code, detail);
  const body = JSON.stringify(what);
  socket.end(
    `HTTP/1.1 ${what.status} ${STATUS_CODES[what.status]}\r\ncontent-type: ${PROBLEM_TYPE}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
};

/** One line for each request, when it has ended. */
const logRequest = (port: IoPort<Self>, request: FastifyRequest, reply: FastifyReply): void => {
  const ms = Math.round(reply.elapsedTime * 10) / 10;
  port.emit('request_seconds', reply.elapsedTime / 1000);
  port.log('info', 'request', {
    requestId: request.id,
    method: request.method,
    path: request.url.slice(0, LOGGED_CHARACTERS_MAX),
    status: reply.statusCode,
    ms,
  });
};

/** In this order: log and id, the Host header, the number of requests in hand (`stream` has its own bound). */
export const guard = (
  app: FastifyInstance,
  config: ApiConfig,
  port: IoPort<Self>,
  stream: string,
): void => {
  let inHand = 0;
  app.addHook('onRequest', async (request, reply) => {
    withHeaders(reply, request.id);
    reply.raw.once('close', () => logRequest(port, request, reply));
    const { host } = request.headers;
    if (host === undefined) {
      throw new ProblemError('bad-request', 'the Host header is missing');
    }
    if (!namesThisMachine(host)) {
      const detail = 'the Host header names another machine: use localhost or 127.0.0.1';
      throw new ProblemError('forbidden', detail);
    }
    if (request.routeOptions.url?.endsWith(stream)) return;
    if (inHand >= config.requestsMax) {
      port.emit('refused', 1);
      const detail = `${config.requestsMax} requests are in hand already; try again`;
      throw new ProblemError('unavailable', detail);
    }
    inHand += 1;
    port.gauge('requests', inHand);
    reply.raw.once('close', () => {
      inHand -= 1;
      port.gauge('requests', inHand);
    });
  });
};
