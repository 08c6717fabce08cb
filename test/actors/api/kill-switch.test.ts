/** The kill switch over HTTP: who may use it, what they may say, and what the agent is told. */
import { chmodSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, afterEach, expect, test } from 'vitest';
import type { Answer } from '#actors/api/core.ts';
import { authorityOf, FAILURES_MAX, readToken, WRITES_MAX } from '#actors/api/operator-token.ts';
import type { Request } from '#actors/api/request.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { hostOf, json } from './core-host.ts';
import { type Given, type HttpHost, openHttp } from './http-host.ts';

const TOKEN = 'a-token-of-more-than-32-characters-0123456789';
const folder = temporaryFolder();
const file = path.join(folder.path, 'operator.token');
const write = (text: string, mode = 0o600): void => {
  writeFileSync(file, text, { mode });
  chmodSync(file, mode);
};
write(`${TOKEN}\n`);
const PATH = '/control/kill-switch';
const BODY = { forS: 600, reason: 'a lockout' };
const open: HttpHost[] = [];
const echo = (request: Request): Answer => ({ kind: 'view', view: request as never });
const host = async (given: Given = {}): Promise<HttpHost> => {
  const one = await openHttp({
    respond: echo,
    ...given,
    settings: { operatorTokenFile: file, ...given.settings },
  });
  open.push(one);
  return one;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
  write(`${TOKEN}\n`);
});
afterAll(folder.remove);

type Sent = {
  readonly method?: string;
  readonly token?: string | null;
  readonly type?: string;
  readonly body?: string;
};
const send = async ({ get }: HttpHost, sent: Sent = {}) => {
  const { method = 'PUT', token = TOKEN, type = 'application/json' } = sent;
  const body = sent.body ?? (method === 'PUT' ? JSON.stringify(BODY) : null);
  const response = await get(PATH, {
    method,
    body,
    headers: {
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(body === null ? {} : { 'content-type': type }),
    },
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: JSON.parse(text || '{}') };
};

test('with the token the agent is told for how long, why and by whom, and to go on', async () => {
  const one = await host();
  const pulled = await send(one);
  expect(pulled).toMatchObject({ status: 200, body: { kind: 'brake', lastsS: 600 } });
  expect(pulled.body).toMatchObject({ reason: 'a lockout' });
  expect(pulled.body.by).toMatch(/^API token from 127\.0\.0\.1, request \S+$/);
  const released = await send(one, { method: 'DELETE' });
  expect(released).toMatchObject({ status: 200, body: { kind: 'release' } });
  expect(await send(one, { method: 'GET', token: null })).toMatchObject({
    body: { kind: 'killSwitch' },
  });
});

test('without the token, or with another one, nothing reaches the agent', async () => {
  const one = await host();
  for (const token of [null, '', `${TOKEN}x`, TOKEN.slice(1), 'x'.repeat(64)]) {
    for (const method of ['PUT', 'DELETE']) {
      const { status, headers, body } = await send(one, { method, token });
      expect([status, body.type]).toEqual([401, 'urn:cybermesh:problem:unauthorized']);
      expect(headers.get('www-authenticate')).toMatch(/^Bearer/);
    }
  }
  expect(one.requests).toEqual([]);
  expect(JSON.stringify(one.log)).not.toContain(TOKEN);
});

test('an API without a token file writes nothing, whatever is shown, and says what to do', async () => {
  const one = await host({ settings: { operatorTokenFile: undefined } });
  for (const token of [null, TOKEN, 'undefined']) {
    expect(await send(one, { token })).toMatchObject({
      status: 403,
      body: { detail: expect.stringMatching(/api.operatorTokenFile.*node runtime panic/) },
    });
  }
  expect(one.requests).toEqual([]);
});

test('a page of a stranger gets no permission to send a token', async () => {
  const { get } = await host();
  const asked = await get(PATH, {
    method: 'OPTIONS',
    headers: { origin: 'http://stranger.example', 'access-control-request-method': 'PUT' },
  });
  expect([asked.status, asked.headers.get('allow')]).toEqual([405, 'GET, HEAD, PUT, DELETE']);
  expect(asked.headers.get('access-control-allow-origin')).toBeNull();
});

test('a body that is no such order is refused by the name of its field', async () => {
  const one = await host();
  const cases: readonly (readonly [unknown, string, RegExp])[] = [
    [{ reason: 'x' }, 'forS', /whole seconds/],
    [{ forS: 0, reason: 'x' }, 'forS', /forS/],
    [{ forS: 86_401, reason: 'x' }, 'forS', /86400/],
    [{ forS: '10', reason: 'x' }, 'forS', /whole seconds/],
    [{ forS: 10 }, 'reason', /audit log/],
    [{ forS: 10, reason: '' }, 'reason', /reason/],
    [{ forS: 10, reason: 'ü'.repeat(129) }, 'reason', /256 bytes/],
    [{ forS: 10, reason: 'x', until: 1 }, 'until', /unknown field until; known here: forS, reason/],
    [[], 'body', /no JSON object/],
  ];
  for (const [body, parameter, why] of cases) {
    const answer = await send(one, { body: JSON.stringify(body) });
    expect([body, answer.status, answer.body.parameter]).toEqual([body, 400, parameter]);
    expect(answer.body.detail).toMatch(why);
  }
  expect((await send(one, { body: '{"forS":1' })).body.parameter).toBe('body');
  for (const type of ['text/plain', 'application/x-www-form-urlencoded']) {
    expect((await send(one, { type })).status).toBe(415);
  }
  expect(one.requests).toEqual([]);
});

test('wrong tokens beyond a bound are 429, and whoever holds the right one is not locked out', () => {
  let nowMs = 0;
  const authority = authorityOf(
    file,
    () => nowMs,
    () => undefined,
  );
  const wrong = () => authority('Bearer x')?.status;
  const right = () => authority(`Bearer ${TOKEN}`)?.status;
  expect(Array.from({ length: FAILURES_MAX }, wrong)).toEqual(Array(FAILURES_MAX).fill(401));
  expect(wrong()).toBe(429);
  expect(Array.from({ length: WRITES_MAX }, right)).toEqual(Array(WRITES_MAX).fill(undefined));
  expect(right()).toBe(429);
  nowMs += 60_000;
  expect([wrong(), right()]).toEqual([401, undefined]);
});

test('a token file that is absent, open to others or holds no token ends the start by name', async () => {
  const absent = path.join(folder.path, 'absent');
  await expect(openHttp({ settings: { operatorTokenFile: absent } })).rejects.toThrow(
    /operatorTokenFile .*absent cannot be read \(ENOENT\); make one with/,
  );
  write(TOKEN, 0o640);
  expect(() => readToken(file)).toThrow(/others than its owner/);
  write('short');
  expect(() => readToken(file)).toThrow(/32 to 512/);
  write(`${TOKEN} ${TOKEN}`);
  expect(() => readToken(file)).toThrow(/32 to 512/);
});

test('a new token counts at once, and with none nobody writes', async () => {
  const one = await host();
  const next = TOKEN.replace('a-token', 'b-token');
  write(next);
  expect((await send(one)).status).toBe(401);
  expect((await send(one, { token: next })).status).toBe(200);
  rmSync(file);
  expect(await send(one, { token: next })).toMatchObject({ status: 403 });
  expect(one.log.some((line) => line.level === 'error')).toBe(true);
});

const brake = {
  ...{ code: 'panic', reason: 'panic by x', by: 'x', sinceMs: 1, untilMs: 2 },
};
const summary = (pulled: boolean) => () => ({
  json: json({ backend: 'noop', coverage: pulled ? 0 : 1, brake: pulled ? brake : null }),
});
const done = { outcome: 'done', text: '' };

test('the answer is what holds afterwards', () => {
  const engaged = hostOf({ 'enforcer.summary': summary(true), 'enforcer.brake': () => done });
  const order = { kind: 'brake', lastsS: 60, by: 'x', reason: 'y' } as const;
  expect(engaged.view(order)).toEqual({ engaged: true, ...brake, backend: 'noop', coverage: 0 });
  expect(engaged.asked().map((one) => one.message)).toEqual([order, { kind: 'summary' }]);
  const free = hostOf({ 'enforcer.summary': summary(false), 'enforcer.release': () => done });
  expect(free.view({ kind: 'release', by: 'x' })).toMatchObject({ engaged: false, untilMs: null });
  expect(free.view({ kind: 'killSwitch' })).toMatchObject({ engaged: false, coverage: 1 });
});

test('what the agent cannot do is a problem that says why', () => {
  const told = (outcome: string) => () => ({ outcome, text: 'because' });
  const of = (outcome: string) =>
    hostOf({ 'enforcer.release': told(outcome) }).problem({ kind: 'release', by: 'x' });
  expect(of('in-topology')).toMatchObject({
    status: 409,
    detail: expect.stringMatching(/because/),
  });
  expect(of('failed')).toMatchObject({ status: 500, detail: 'because' });
  const nobody = hostOf({}, { shows: ['chain'] });
  expect(nobody.problem({ kind: 'killSwitch' })).toMatchObject({
    status: 503,
    detail: 'the enforcer does not run on this node',
  });
});
