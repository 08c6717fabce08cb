/** The kill switch over HTTP: GET shows it, PUT pulls the brake of this node's agents, DELETE releases it. */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { utf8Bytes } from '#proto/bytes.ts';
import { parseJsonObject } from '#proto/json.ts';
import type { IoPort } from '#runtime/actor.ts';
import type { Answer, Self } from './core.ts';
import { noParameters } from './decode.ts';
import { ProblemError, sendProblem } from './http.ts';
import type { Authority } from './operator-token.ts';
import type { Request } from './request.ts';
import { addRoute, type Handler } from './routes.ts';

const PATH = '/control/kill-switch';
const DAY_S = 86_400;
const REASON_BYTES_MAX = 256;
const WHO_CHARACTERS_MAX = 128;

const order = z.strictObject({
  forS: z.int(`expected whole seconds from 1 to ${DAY_S}`).min(1).max(DAY_S),
  reason: z
    .string('expected text: it goes into the audit log')
    .min(1)
    .refine((text) => utf8Bytes(text) <= REASON_BYTES_MAX, `at most ${REASON_BYTES_MAX} bytes`),
});

const bad = (parameter: string, detail: string): ProblemError =>
  new ProblemError('bad-parameter', detail, { parameter });

/** The body of a PUT; throws what the client is told. */
const orderIn = (request: FastifyRequest): z.output<typeof order> => {
  const type = request.headers['content-type'] ?? '';
  if (!/^application\/json\s*(?:;|$)/i.test(type)) {
    throw new ProblemError('unsupported-media-type', 'send a body of type application/json');
  }
  const body = request.body instanceof Uint8Array ? request.body : new Uint8Array(0);
  const json = parseJsonObject(body);
  if (!json.ok) throw bad('body', `the body is no JSON object: ${json.error}`);
  const parsed = order.safeParse(json.value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  if (issue.code === 'unrecognized_keys') {
    const name = issue.keys[0] ?? '';
    throw bad(name, `unknown field ${name}; known here: forS, reason`);
  }
  const field = String(issue.path[0] ?? 'body');
  throw bad(field, `${field}: ${issue.message}`);
};

/** Who it was, for the audit log: where the token came from, and under which request id. */
const whoIs = (request: FastifyRequest): string =>
  `API token from ${request.ip}, request ${request.id}`.slice(0, WHO_CHARACTERS_MAX);

type Ask = (request: Request) => Promise<Answer>;

const answering =
  (ask: Ask, requestOf: (request: FastifyRequest) => Request): Handler =>
  async (request, reply) => {
    const query = noParameters(request.query);
    if (!query.ok) return sendProblem(request, reply, query.error);
    const answer = await ask(requestOf(request));
    return answer.kind === 'problem' ? sendProblem(request, reply, answer.problem) : answer.view;
  };

/** Nothing of the body is looked at before the token. */
const guarded =
  (authority: Authority, port: IoPort<Self>, handler: Handler): Handler =>
  async (request, reply) => {
    const refusal = authority(request.headers.authorization);
    if (refusal === undefined) return handler(request, reply);
    const { id: requestId, ip, method } = request;
    port.emit('writes_refused', 1);
    port.log('warn', 'a write is refused', { requestId, ip, method, status: refusal.status });
    if (refusal.status === 401) reply.header('www-authenticate', 'Bearer realm="cybermesh"');
    return sendProblem(request, reply, refusal);
  };

export const addKillSwitch = (
  app: FastifyInstance,
  authority: Authority,
  port: IoPort<Self>,
  ask: Ask,
): void => {
  const show = answering(ask, () => ({ kind: 'killSwitch' }));
  const pull = answering(ask, (request) => {
    const { forS: lastsS, reason } = orderIn(request);
    return { kind: 'brake', lastsS, by: whoIs(request), reason };
  });
  const release = answering(ask, (request) => ({ kind: 'release', by: whoIs(request) }));
  addRoute(app, PATH, {
    GET: show,
    PUT: guarded(authority, port, pull),
    DELETE: guarded(authority, port, release),
  });
};
