import { afterEach, expect, test } from 'vitest';
import { actor, type TestSystem, testSystem, until } from '#test/kit/system.ts';

let system: TestSystem;
afterEach(() => system.end());

const headerOf = (digit: string): string => `00-${digit.repeat(32)}-${digit.repeat(16)}-00`;

test('the trace of whoever publishes is a header of the record, and whoever reads it goes on in that trace', async () => {
  const headers = [headerOf('a'), headerOf('b')];
  system = await testSystem(
    [
      actor('bus', new URL('../../../actors/bus/actor.ts', import.meta.url)),
      actor('courier', new URL('./fixtures/courier.ts', import.meta.url), { config: { headers } }),
    ],
    { trace: { carried: true, ratio: 1 } },
  );
  const read = async (name: string): Promise<Record<string, string>> =>
    JSON.parse(await system.until(() => system.fact('courier', name), 20_000));
  for (const [header, digit] of [
    [headers[0]!, 'a'],
    [headers[1]!, 'b'],
  ] as const) {
    const { traceparent } = await read(header);
    expect(traceparent).toMatch(new RegExp(`^00-${digit.repeat(32)}-[0-9a-f]{16}-01$`));
    const spans = await until(async () => {
      const own = await system.inside.spansOf(digit.repeat(32));
      return own.some(({ actor: who, cause }) => who === 'courier' && cause === 'record') && own;
    });
    // The step of the bus that wrote the record is what caused the reading of it.
    const published = spans.find(({ kind }) => kind === 'publish');
    expect(traceparent!.split('-')[2]).toBe(published?.span);
    const reading = spans.find(
      ({ actor: who, parent }) => who === 'courier' && parent === published?.span,
    );
    expect(reading).toMatchObject({ kind: 'fetched', cause: 'record' });
  }
  expect(await read('again')).toEqual({ traceparent: headers[0], other: 'x' });
});
