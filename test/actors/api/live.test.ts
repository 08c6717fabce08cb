import { afterEach, expect, test } from 'vitest';
import type { Answer } from '#actors/api/core.ts';
import { type Given, type HttpHost, openHttp } from './http-host.ts';

const open: HttpHost[] = [];
const host = async (given: Given = {}): Promise<HttpHost> => {
  const one = await openHttp({ respond: overview(), ...given });
  open.push(one);
  return one;
};
afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

/** Overviews with ascending heights. */
const overview = () => {
  let height = 0;
  return (): Answer => ({ kind: 'view', view: { height: ++height } as never });
};

const follower = async ({ get }: HttpHost) => {
  const stop = new AbortController();
  const response = await get('/live', { signal: stop.signal });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  return {
    response,
    stop: () => stop.abort(),
    /** The next frame's data. */
    next: async (): Promise<{ readonly height: number }> => {
      for (;;) {
        const end = rest.indexOf('\n\n');
        if (end >= 0) {
          const frame = rest.slice(0, end);
          rest = rest.slice(end + 2);
          expect(frame).toMatch(/^event: overview\ndata: /);
          return JSON.parse(frame.slice(frame.indexOf('data: ') + 6));
        }
        const { value, done } = await reader.read();
        if (done) throw new Error('the stream has ended');
        rest += value;
      }
    },
  };
};

test('every listener gets the same overview, which is composed once', async () => {
  const one = await host({ settings: { liveMs: 10_000 } });
  const [a, b] = [await follower(one), await follower(one)];
  expect(a.response.headers.get('content-type')).toBe('text/event-stream');
  expect(a.response.headers.get('x-content-type-options')).toBe('nosniff');
  expect(await a.next()).toEqual({ height: 1 });
  expect(await b.next()).toEqual({ height: 1 });
  expect(one.requests).toHaveLength(1);
});

test('overviews follow one another while somebody listens', async () => {
  const one = await host({ settings: { liveMs: 10 } });
  const client = await follower(one);
  expect([await client.next(), await client.next(), await client.next()]).toEqual([
    { height: 1 },
    { height: 2 },
    { height: 3 },
  ]);
});

test('without a listener nothing is asked', async () => {
  let looks = 0;
  const gone = Promise.withResolvers<void>();
  const one = await host({
    settings: { liveMs: 10 },
    system: {
      metrics: async () => {
        looks += 1;
        return '';
      },
    },
  });
  const client = await follower(one);
  await client.next();
  client.stop();
  await expect
    .poll(() =>
      one.log.some((line) => 'path' in line.fields && line.fields.path === '/api/v1/live'),
    )
    .toBe(true);
  const before = looks;
  setTimeout(gone.resolve, 60); // six periods
  await gone.promise;
  expect(looks).toBe(before);
});

test('clients beyond the bound are 503, and a place becomes free again', async () => {
  const one = await host({ settings: { liveClientsMax: 1, liveMs: 10 } });
  const client = await follower(one);
  await client.next();
  const refused = await one.get('/live');
  expect(refused.status).toBe(503);
  expect(await refused.json()).toMatchObject({ detail: expect.stringContaining('live stream') });
  client.stop();
  await expect
    .poll(
      async () =>
        (await one.get('/live', { method: 'GET', signal: AbortSignal.timeout(1000) })).status,
    )
    .toBe(200);
});

test('a live client takes no place of a request', async () => {
  const one = await host({ settings: { requestsMax: 1, liveMs: 10 } });
  const client = await follower(one);
  await client.next();
  expect((await one.get('/health')).status).toBe(200);
});

test('an overview that fails is left out, and the stream goes on', async () => {
  let looks = 0;
  const one = await host({
    settings: { liveMs: 10 },
    system: {
      tree: async () => {
        looks += 1;
        if (looks < 3) throw new Error('tree: no answer within 2000 ms');
        return { name: 'root', path: '', kind: 'supervisor', state: 'running', restarts: 0 };
      },
    },
  });
  const client = await follower(one);
  expect(await client.next()).toEqual({ height: 1 });
  expect(looks).toBe(3);
});

test('closing the server ends every stream', async () => {
  const one = await host({ settings: { liveMs: 10_000 } });
  const client = await follower(one);
  await client.next();
  const ended = client.next();
  await one.close();
  open.splice(0);
  await expect(ended).rejects.toThrow();
});
