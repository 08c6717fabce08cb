/** What a failed call of the Kubernetes API means, and whether it is worth another try. Pure. */
import { z } from 'zod';
import type { Fault, FaultCode } from '../../backend.ts';

export type ApiFault = Fault & {
  /** HTTP; 0 where nobody answered. */
  readonly status: number;
  /** undefined: trying again changes nothing. */
  readonly retryMs: number | undefined;
  /** 409: other managers own fields that we set, rather than somebody was faster. */
  readonly isOwned: boolean;
  /** The connection itself failed. */
  readonly isBroken: boolean;
};

const REASON_CHARS_MAX = 240;
const MS_PER_S = 1000;
const BACKOFF_MS = 100;

const certificateFaults: ReadonlySet<string> = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);
/** A connection that had been kept open was closed by the other side. */
const stale: ReadonlySet<string> = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/** As the API server says no (meta/v1 Status). */
const statusSchema = z.object({
  message: z.string().default(''),
  reason: z.string().default(''),
  details: z
    .object({
      causes: z.array(z.object({ reason: z.string().optional() })).default([]),
      retryAfterSeconds: z.number().optional(),
    })
    .default({ causes: [] }),
});

const statusOf = (body: unknown): z.output<typeof statusSchema> => {
  const parsed = statusSchema.safeParse(typeof body === 'string' ? jsonOf(body) : body);
  if (parsed.success) return parsed.data;
  return { message: typeof body === 'string' ? body : '', reason: '', details: { causes: [] } };
};

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

const MEANINGS: { readonly [status: number]: FaultCode } = {
  401: 'not-authenticated',
  403: 'no-permission',
  409: 'conflict',
  410: 'conflict',
  429: 'too-busy',
  503: 'too-busy',
  504: 'timed-out',
};

const ADVICE: { readonly [code in FaultCode]?: string } = {
  'bad-certificate': 'set certificate-authority of its cluster in the kubeconfig',
  'not-authenticated': 'renew the token or the certificate of the user in the kubeconfig',
  'no-permission': 'grant it (config/deploy/network-policies/access.yaml)',
  unreachable: 'see that it runs, and that kubernetes.kubeconfig and kubernetes.context name it',
};

const advised = (code: FaultCode, text: string): Fault => {
  const line = text.replace(/\s+/g, ' ').trim().slice(0, REASON_CHARS_MAX);
  const advice = ADVICE[code];
  return { code, reason: advice === undefined ? line : `${line}; ${advice}` };
};

export type Answer = {
  readonly status: number;
  readonly body: unknown;
  readonly headers: { readonly [name: string]: string };
};

/** `what` as `list networkpolicies in web`. */
export const answerFault = (what: string, { status, body, headers }: Answer): ApiFault => {
  const { message, details } = statusOf(body);
  const code = MEANINGS[status] ?? (status >= 500 ? 'unreachable' : 'rejected');
  const text = `the API server answers ${status} to ${what}${message === '' ? '' : `: ${message}`}`;
  const afterS = Number(headers['retry-after'] ?? details.retryAfterSeconds);
  const mayRetry = status === 429 || status >= 500;
  const waitMs = Number.isFinite(afterS) ? Math.max(0, afterS) * MS_PER_S : BACKOFF_MS;
  return {
    ...advised(code, text),
    status,
    retryMs: mayRetry ? waitMs : undefined,
    isOwned: details.causes.some(({ reason }) => reason === 'FieldManagerConflict'),
    isBroken: false,
  };
};

/** `error` as fetch throws it: the reason lies in its causes. */
export const connectionFault = (what: string, server: string, error: unknown): ApiFault => {
  const chain: Error[] = [];
  for (let one = error; one instanceof Error && chain.length < 8; one = one.cause) chain.push(one);
  const codes = chain.flatMap((one) => [one.name, (one as NodeJS.ErrnoException).code ?? '']);
  const last = chain.at(-1)?.message ?? String(error);
  const broken = { status: 0, isOwned: false, isBroken: true, retryMs: undefined };
  if (codes.includes('TimeoutError')) {
    return { ...advised('timed-out', `${server} did not answer in time to ${what}`), ...broken };
  }
  if (codes.some((code) => certificateFaults.has(code))) {
    return { ...advised('bad-certificate', `${server}: ${last}`), ...broken };
  }
  const retryMs = codes.some((code) => stale.has(code)) ? BACKOFF_MS : undefined;
  return { ...advised('unreachable', `${server}: ${last} (${what})`), ...broken, retryMs };
};
