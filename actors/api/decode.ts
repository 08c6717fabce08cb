/** From the words of an HTTP request to a checked one. An error names the parameter and the remedy. */
import { z } from 'zod';
import { utf8Bytes } from '#proto/bytes.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { STATES } from '../feedback/protocol.ts';
import { type Problem, problem } from './problem.ts';
import type { Request } from './request.ts';

export const BLOCKS_MAX = 100;
export const ANOMALIES_MAX = 500;
export const POLICIES_MAX = 200;
const KEY_BYTES_MAX = 512;
const ID_BYTES_MAX = 128;
const ONCE = 'give it once';

/** Digits only: `1e3`, ` 5` and `0x5` are mistakes more often than meant. */
const integer = (from: number, to: number) =>
  z
    .string({ error: ONCE })
    .regex(/^\d{1,16}$/, `a whole number from ${from} to ${to}`)
    .transform(Number)
    .refine((n) => n >= from && n <= to, `a whole number from ${from} to ${to}`);

const height = integer(1, Number.MAX_SAFE_INTEGER);
const limit = (max: number, otherwise: number) => integer(1, max).default(otherwise);
const text = (bytesMax: number) =>
  z
    .string({ error: ONCE })
    .refine((s) => s !== '' && utf8Bytes(s) <= bytesMax, `1 to ${bytesMax} bytes of text`);
const state = z
  .string({ error: ONCE })
  .transform((word) => word.toUpperCase())
  .pipe(z.enum(STATES, { error: `one of ${STATES.join(', ')}` }));
const flag = z.enum(['true', 'false'], { error: 'true or false' }).transform((s) => s === 'true');

const nothing = z.strictObject({});

type Shape<P extends z.ZodType, Q extends z.ZodType> = {
  /** Below /api/v1, as the router writes it. */
  readonly path: string;
  readonly params: P;
  readonly query: Q;
  readonly request: (params: z.output<P>, query: z.output<Q>) => Request;
};

/** A resource whose answer the core composes. */
export type Resource = {
  readonly path: string;
  readonly decode: (params: unknown, query: unknown) => Result<Request, Problem>;
};

const namesOf = (schema: z.ZodType): string =>
  schema instanceof z.ZodObject ? Object.keys(schema.shape).join(', ') : '';

/** The first thing that is wrong, as a sentence with its remedy. */
const refusal = (schema: z.ZodType, fault: z.ZodError): Problem => {
  const issue = fault.issues[0]!;
  if (issue.code === 'unrecognized_keys') {
    const name = issue.keys[0] ?? '';
    const known = namesOf(schema);
    const remedy = known === '' ? 'this resource takes none' : `known here: ${known}`;
    return problem('bad-parameter', `unknown parameter ${name}; ${remedy}`, { parameter: name });
  }
  const path = String(issue.path[0] ?? '');
  const name = path === '*' ? 'key' : path;
  return problem('bad-parameter', `${name}: expected ${issue.message}`, { parameter: name });
};

const resource = <P extends z.ZodType, Q extends z.ZodType>(shape: Shape<P, Q>): Resource => ({
  path: shape.path,
  decode: (params, query) => {
    const p = shape.params.safeParse(params);
    if (!p.success) return err(refusal(shape.params, p.error));
    const q = shape.query.safeParse(query);
    if (!q.success) return err(refusal(shape.query, q.error));
    return ok(shape.request(p.data, q.data));
  },
});

/** A resource without parameters. */
const plain = (path: string, request: Request): Resource =>
  resource({ path, params: nothing, query: nothing, request: () => request });

const byId = (path: string, kind: 'validator' | 'anomaly' | 'policy'): Resource =>
  resource({
    path,
    params: z.strictObject({ id: text(ID_BYTES_MAX) }),
    query: nothing,
    request: ({ id }) => ({ kind, id }),
  });

export const RESOURCES: readonly Resource[] = [
  plain('/ready', { kind: 'ready' }),
  resource({
    path: '/blocks',
    params: nothing,
    query: z.strictObject({ from: height.default(1), limit: limit(BLOCKS_MAX, 20) }),
    request: (_, query) => ({ kind: 'blocks', ...query }),
  }),
  plain('/blocks/latest', { kind: 'latestBlock' }),
  resource({
    path: '/blocks/:height',
    params: z.strictObject({ height }),
    query: nothing,
    request: (params) => ({ kind: 'block', ...params }),
  }),
  plain('/state/root', { kind: 'stateRoot' }),
  resource({
    path: '/state/*',
    params: z.strictObject({ '*': text(KEY_BYTES_MAX) }),
    query: z.strictObject({ height: height.optional() }),
    request: (params, query) => ({ kind: 'state', key: params['*'], height: query.height ?? 0 }),
  }),
  plain('/validators', { kind: 'validators' }),
  byId('/validators/:id', 'validator'),
  resource({
    path: '/anomalies',
    params: nothing,
    query: z.strictObject({
      state: state.optional(),
      severity: integer(1, 10).optional(),
      limit: limit(ANOMALIES_MAX, 50),
      before: integer(1, Number.MAX_SAFE_INTEGER).optional(),
    }),
    request: (_, query) => ({
      kind: 'anomalies',
      state: query.state ?? '',
      severityMin: query.severity ?? 0,
      limit: query.limit,
      before: query.before ?? 0,
    }),
  }),
  byId('/anomalies/:id', 'anomaly'),
  resource({
    path: '/policies',
    params: nothing,
    query: z.strictObject({ active: flag.optional(), limit: limit(POLICIES_MAX, 50) }),
    request: (_, query) => ({ kind: 'policies', active: query.active, limit: query.limit }),
  }),
  byId('/policies/:id', 'policy'),
  plain('/consensus/overview', { kind: 'consensus' }),
];

/** For resources that take no parameter and that the core does not answer. */
export const noParameters = (query: unknown): Result<true, Problem> => {
  const parsed = nothing.safeParse(query);
  return parsed.success ? ok(true) : err(refusal(nothing, parsed.error));
};
