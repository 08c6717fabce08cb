/** RFC 9457 problem details: what every error of the API looks like. */
export const PROBLEM_TYPE = 'application/problem+json';

const PROBLEMS = {
  'bad-request': [400, 'The request is not understood'],
  'bad-parameter': [400, 'A parameter is not usable'],
  unauthorized: [401, 'Who asks is not known'],
  forbidden: [403, 'Not allowed'],
  'not-found': [404, 'Not found'],
  'method-not-allowed': [405, 'The method is not allowed here'],
  'request-timeout': [408, 'The request did not arrive in time'],
  conflict: [409, 'Something else stands in the way'],
  'body-too-large': [413, 'The request body is too large'],
  'uri-too-long': [414, 'The address is too long'],
  'unsupported-media-type': [415, 'The type of the body is not usable'],
  'too-many-requests': [429, 'Too many requests'],
  'headers-too-large': [431, 'The request headers are too large'],
  'internal-error': [500, 'The server has a fault'],
  unavailable: [503, 'Not available at the moment'],
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

export type Problem = {
  /** `urn:cybermesh:problem:<code>`. */
  readonly type: string;
  readonly title: string;
  readonly status: number;
  /** What is wrong with this very request, and the remedy. */
  readonly detail: string;
  /** The parameter at fault. */
  readonly parameter?: string;
  /** Further facts, e.g. the proof that a key does not exist. */
  readonly [extension: string]: unknown;
};

export const problem = (
  code: ProblemCode,
  detail: string,
  extensions: { readonly [name: string]: unknown } = {},
): Problem => {
  const [status, title] = PROBLEMS[code];
  return { type: `urn:cybermesh:problem:${code}`, title, status, detail, ...extensions };
};

/** The code whose status this is; errors of the HTTP library carry a status only. */
export const codeOfStatus = (status: number): ProblemCode => {
  for (const [code, [known]] of Object.entries(PROBLEMS)) {
    if (known === status && code !== 'bad-parameter') return code as ProblemCode;
  }
  return status >= 400 && status < 500 ? 'bad-request' : 'internal-error';
};
