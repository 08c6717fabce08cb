import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterEach, expect, test } from 'vitest';
import type { Answer } from '#actors/api/core.ts';
import type { Request } from '#actors/api/request.ts';
import { type Given, type HttpHost, openHttp } from './http-host.ts';

const SEED = 20_261_120;
const open: HttpHost[] = [];
const host = async (given: Given = {}): Promise<HttpHost> => {
  const one = await openHttp(given);
  open.push(one);
  return one;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

const viewOf = (view: object): Answer => ({ kind: 'view', view: view as never });
const echo = (request: Request): Answer => viewOf(request);
const problemIn = async (response: Response) => {
  expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
  const body = (await response.json()) as { readonly [field: string]: unknown };
  expect(body).toMatchObject({ status: response.status, title: expect.any(String) });
  expect(body.type).toMatch(/^urn:cybermesh:problem:[a-z-]+$/);
  return body;
};

test('health is 200 whatever the core does', async () => {
  const { get } = await host({ respond: () => undefined });
  const response = await get('/health');
  expect(response.status).toBe(200);
  expect(await response.json()).toEqual({ status: 'ok', node: 'test' });
});

test('each resource becomes its request', async () => {
  const { get } = await host({ respond: echo });
  const of = async (path: string) => (await get(path)).json();
  expect(await of('/ready')).toEqual({ kind: 'ready' });
  expect(await of('/blocks')).toEqual({ kind: 'blocks', from: 1, limit: 20 });
  expect(await of('/blocks?from=7&limit=3')).toEqual({ kind: 'blocks', from: 7, limit: 3 });
  expect(await of('/blocks/latest')).toEqual({ kind: 'latestBlock' });
  expect(await of('/blocks/12')).toEqual({ kind: 'block', height: 12 });
  expect(await of('/state/root')).toEqual({ kind: 'stateRoot' });
  expect(await of('/validators')).toEqual({ kind: 'validators' });
  expect(await of('/validators/v1')).toEqual({ kind: 'validator', id: 'v1' });
  expect(await of('/anomalies?state=committed&severity=5')).toEqual({
    ...{ kind: 'anomalies', state: 'COMMITTED', severityMin: 5, limit: 50, before: 0 },
  });
  expect(await of('/anomalies/a')).toEqual({ kind: 'anomaly', id: 'a' });
  expect(await of('/policies?active=true')).toEqual({ kind: 'policies', active: true, limit: 50 });
  expect(await of('/policies/p')).toEqual({ kind: 'policy', id: 'p' });
  expect(await of('/consensus/overview')).toEqual({ kind: 'consensus' });
});

test('a state key may hold slashes, plain and encoded', async () => {
  const { get } = await host({ respond: echo });
  const key = 'active/198.51.100.0/24/drop';
  for (const path of [key, encodeURIComponent(key)]) {
    const request = await (await get(`/state/${path}?height=9`)).json();
    expect(request).toEqual({ kind: 'state', key, height: 9 });
  }
  const text = 'policies/ü %2F';
  const request = await (await get(`/state/${encodeURIComponent(text)}`)).json();
  expect(request).toMatchObject({ key: text });
});

test('the overview carries what the system says of itself', async () => {
  const { get } = await host({ respond: echo });
  expect(await (await get('/dashboard/overview')).json()).toMatchObject({
    kind: 'overview',
    system: {
      node: 'test',
      restarts: 2,
      projection: { height: 7, lag: 1, connected: true },
      notices: [],
      stages: { flows: 12, committed: 4, acked: 0 },
    },
  });
});

test('metrics is the Prometheus text and the tree is the supervision tree', async () => {
  const { get } = await host();
  const metrics = await get('/metrics');
  expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(await metrics.text()).toContain('cybermesh_features_stage_flows_total');
  expect(await (await get('/runtime/tree')).json()).toMatchObject({ name: 'root' });
});

test('a system that does not answer is 503', async () => {
  const silent = () => Promise.reject(new Error('metrics: no answer within 2000 ms'));
  const { get } = await host({ system: { metrics: silent } });
  for (const path of ['/metrics', '/dashboard/overview']) {
    const response = await get(path);
    expect(response.headers.get('retry-after')).toBe('1');
    expect(await problemIn(response)).toMatchObject({ status: 503 });
  }
});

test('bad input is 400, names the parameter and the remedy', async () => {
  const { get, requests } = await host({ respond: echo });
  const cases: readonly (readonly [string, string, RegExp])[] = [
    ['/blocks?from=-1', 'from', /whole number from 1 to/],
    ['/blocks?from=1e3', 'from', /whole number/],
    ['/blocks?limit=101', 'limit', /from 1 to 100/],
    ['/blocks?limit=', 'limit', /from 1 to 100/],
    ['/blocks?limit=2&limit=3', 'limit', /once/],
    ['/blocks?form=1', 'form', /known here: from, limit/],
    ['/blocks/latest?x=1', 'x', /takes none/],
    ['/blocks/abc', 'height', /whole number/],
    ['/blocks/0', 'height', /whole number from 1/],
    ['/blocks/9007199254740993', 'height', /whole number/],
    ['/state/params?height=x', 'height', /whole number/],
    [`/state/${'k'.repeat(513)}`, 'key', /1 to 512 bytes/],
    ['/anomalies?state=open', 'state', /one of DETECTED, PUBLISHED/],
    ['/anomalies?severity=11', 'severity', /from 1 to 10/],
    ['/anomalies?before=yesterday', 'before', /whole number/],
    ['/policies?active=yes', 'active', /true or false/],
    [`/policies/${'p'.repeat(129)}`, 'id', /1 to 128 bytes/],
    ['/health?x=1', 'x', /takes none/],
  ];
  for (const [path, parameter, remedy] of cases) {
    const problem = await problemIn(await get(path));
    expect([path, problem.status, problem.parameter]).toEqual([path, 400, parameter]);
    expect(problem.detail).toMatch(remedy);
  }
  expect(requests).toEqual([]);
});

test('an unknown path is 404, a broken one 400, an endless one 414', async () => {
  const { get } = await host();
  expect(await problemIn(await get('/nothing'))).toMatchObject({ status: 404 });
  expect(await problemIn(await get('/blocks/%zz'))).toMatchObject({ status: 400 });
  expect(await problemIn(await get(`/policies/${'p'.repeat(1000)}`))).toMatchObject({
    status: 414,
  });
});

test('another method is 405 and says which are allowed', async () => {
  const { get } = await host();
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
    const response = await get('/blocks', { method });
    expect(response.headers.get('allow')).toBe('GET, HEAD');
    expect(await problemIn(response)).toMatchObject({ status: 405 });
  }
  expect((await get('/health', { method: 'HEAD' })).status).toBe(200);
});

test('a body above the limit is 413', async () => {
  const { get } = await host();
  const response = await get('/blocks', { method: 'POST', body: 'x'.repeat(2 << 20) });
  expect(await problemIn(response)).toMatchObject({ status: 413 });
});

test('headers above the limit are 431', async () => {
  const { raw } = await host();
  const answer = await raw(
    `GET /api/v1/health HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`,
  );
  expect(answer).toMatch(/^HTTP\/1\.1 431 .*application\/problem\+json.*headers-too-large/s);
});

test('bytes that are no HTTP are 400, and the server lives', async () => {
  const { raw, get } = await host();
  expect(await raw('\u0016\u0003\u0001 hello\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 .*problem\+json/s);
  expect((await get('/health')).status).toBe(200);
});

test('a client that never finishes its request is cut off with 408', async () => {
  const { raw } = await host({ settings: { requestMs: 100 } });
  const answer = await raw('GET /api/v1/health HTTP/1.1\r\nHost: loc', false);
  expect(answer).toMatch(/^HTTP\/1\.1 408 .*request-timeout/s);
});

test('a request without an answer is 503 after its deadline', async () => {
  const { get } = await host({ respond: () => undefined, settings: { requestMs: 100 } });
  const response = await get('/ready');
  expect(response.headers.get('retry-after')).toBe('1');
  expect(await problemIn(response)).toMatchObject({ status: 503 });
});

test('a full mailbox is 503', async () => {
  const { get } = await host({ takes: (message) => message.kind !== 'request' });
  expect(await problemIn(await get('/ready'))).toMatchObject({ status: 503 });
});

test('a handler that throws is 500, and the server lives', async () => {
  const { get, log } = await host({
    takes: () => true,
    system: {
      tree: () => {
        throw new TypeError('broken');
      },
    },
  });
  const problem = await problemIn(await get('/runtime/tree'));
  expect(problem.status).toBe(500);
  expect(JSON.stringify(problem)).not.toContain('broken');
  const line = log.find((one) => one.level === 'error');
  expect(line?.fields).toMatchObject({ requestId: problem.requestId });
  expect((await get('/health')).status).toBe(200);
});

test('requests beyond the bound are 503 while those in hand are answered', async () => {
  const one = await host({ respond: () => undefined, settings: { requestsMax: 2 } });
  const first = [one.get('/ready'), one.get('/ready')];
  await one.arrived(2);
  const extra = await Promise.all(Array.from({ length: 8 }, () => one.get('/ready')));
  expect(extra.map((response) => response.status)).toEqual(Array(8).fill(503));
  expect(extra[0]?.headers.get('retry-after')).toBe('1');
  for (const { id } of one.requests) one.answer(id, viewOf({ ready: true }));
  expect((await Promise.all(first)).map((response) => response.status)).toEqual([200, 200]);
  expect((await one.get('/health')).status).toBe(200);
});

test('the request id of the client is echoed and stands in the log line', async () => {
  const { get, log } = await host();
  const response = await get('/blocks/zzz', { headers: { 'x-request-id': 'abc-1' } });
  expect(response.headers.get('x-request-id')).toBe('abc-1');
  expect(await response.json()).toMatchObject({
    requestId: 'abc-1',
    instance: '/api/v1/blocks/zzz',
  });
  await expect
    .poll(() => log.find((line) => line.text === 'request')?.fields)
    .toMatchObject({ requestId: 'abc-1', method: 'GET', path: '/api/v1/blocks/zzz', status: 400 });
});

test('an id that does not belong into a log line is replaced', async () => {
  const { get } = await host();
  const response = await get('/health', { headers: { 'x-request-id': '"} {"level":"fatal' } });
  expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
});

test('every response has the security headers, errors too', async () => {
  const { get } = await host();
  for (const path of ['/health', '/nothing', '/blocks/%zz', '/blocks/abc']) {
    const { headers } = await get(path);
    expect(headers.get('x-content-type-options')).toBe('nosniff');
    expect(headers.get('content-security-policy')).toContain("default-src 'none'");
    expect(headers.get('cache-control')).toBe('no-store');
    expect(headers.get('x-request-id')).not.toBeNull();
    expect(headers.get('access-control-allow-origin')).toBeNull();
  }
});

test('a page that reaches the server under a name of its own is refused', async () => {
  const { raw } = await host();
  const as = (name: string) =>
    raw(`GET /api/v1/health HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`);
  expect(await as('attacker.example:9441')).toMatch(/^HTTP\/1\.1 403 /);
  expect(await as('localhost:9441')).toMatch(/^HTTP\/1\.1 200 /);
  expect(await as('[::1]:9441')).toMatch(/^HTTP\/1\.1 200 /);
  expect(await raw('GET /api/v1/health HTTP/1.1\r\nConnection: close\r\n\r\n')).toMatch(
    /^HTTP\/1\.1 400 .*Host/s,
  );
});

test('a port in use ends the start with the address and the remedy', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => taken.once('listening', done));
  const { port } = taken.address() as AddressInfo;
  await expect(openHttp({ settings: { port } })).rejects.toThrow(
    `the API cannot listen on 127.0.0.1:${port}: the port is in use`,
  );
  await new Promise((done) => taken.close(done));
});

test(`no path and no query brings the server down (seed ${SEED})`, async () => {
  const { raw, get } = await host({ respond: echo });
  const start = fc.constantFrom(
    ...[
      '/',
      '/api/v1/',
      '/api/v1/state/',
      '/api/v1/blocks/',
      '/api/v1/blocks?',
      '/api/v1/policies/',
    ],
    ...['/api/v1/anomalies?', '/api/v1/state/x?height=', '/api/v1/validators/'],
  );
  const rest = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc.string({ maxLength: 40 }).map(encodeURIComponent),
    fc.constantFrom(
      '%',
      '%00',
      '%c0%af',
      '../../..',
      '__proto__',
      '?a[__proto__]=1',
      '=&&=',
      '%2e%2e',
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.constantFrom('GET', 'HEAD', 'POST'), start, rest, async (method, a, b) => {
      const path = (a + b).replace(/[\r\n ]/g, '+');
      const answer = await raw(
        `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
      );
      const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
      return status === 200 || (status >= 400 && status < 500);
    }),
    { seed: SEED, numRuns: 300 },
  );
  expect((await get('/health')).status).toBe(200);
});
