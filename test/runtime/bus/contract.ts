/** What every driver of the bus promises: run the same on each. */
import { expect, test } from 'vitest';
import type { Bus } from '#runtime/bus/driver.ts';

const value = (n: number): Uint8Array => new Uint8Array([n]);
const message = (topic: string, key: string, n: number) => ({
  topic,
  key,
  value: value(n),
  headers: { n: String(n) },
});

/** `open` returns a driver over the same storage each time; the topics `a` and `b` exist, records up to 64 KiB. */
export const busContract = (name: string, open: (storage: string) => Promise<Bus>): void => {
  const storage = (): string => `${name}-${Math.random().toString(36).slice(2)}`;
  const all = async (bus: Bus, topic: string, group: string, positions: readonly number[] = []) => {
    const got = await bus.fetch(topic, group, positions, 1000);
    if (got.outcome !== 'ok') throw new Error(got.outcome);
    return got;
  };

  test(`${name}: one key stays in order, in one partition`, async () => {
    const bus = await open(storage());
    await bus.publish([...Array(20).keys()].map((n) => message('a', 'host', n)));
    const { records } = await all(bus, 'a', 'g');
    expect(new Set(records.map((r) => r.partition)).size).toBe(1);
    expect(records.map((r) => r.value[0])).toEqual([...Array(20).keys()]);
    expect(records.map((r) => r.headers.n)).toEqual([...Array(20).keys()].map(String));
    await bus.close();
  });

  test(`${name}: a reopened log has every record and continues its offsets`, async () => {
    const place = storage();
    const first = await open(place);
    const [before] = await first.publish([message('a', 'x', 1)]);
    await first.close();
    const again = await open(place);
    const [after] = await again.publish([message('a', 'x', 2)]);
    expect(before).toMatchObject({ outcome: 'ok', offset: 0 });
    expect(after).toMatchObject({ outcome: 'ok', offset: 1 });
    expect((await all(again, 'a', 'g')).records.map((r) => r.value[0])).toEqual([1, 2]);
    await again.close();
  });

  test(`${name}: a group goes on at its mark, another group from the start`, async () => {
    const bus = await open(storage());
    await bus.publish([1, 2, 3].map((n) => message('a', 'x', n)));
    const { positions } = await all(bus, 'a', 'g');
    await bus.commit('a', 'g', positions);
    await bus.publish([message('a', 'x', 4)]);
    expect((await all(bus, 'a', 'g')).records.map((r) => r.value[0])).toEqual([4]);
    expect((await all(bus, 'a', 'other')).records).toHaveLength(4);
    await bus.close();
  });

  test(`${name}: a mark never moves backwards`, async () => {
    const bus = await open(storage());
    await bus.publish([1, 2, 3].map((n) => message('a', 'x', n)));
    const { positions } = await all(bus, 'a', 'g');
    await bus.commit('a', 'g', positions);
    await bus.commit(
      'a',
      'g',
      positions.map(() => 0),
    );
    expect((await bus.ends('a', 'g')).committed).toEqual(positions);
    await bus.close();
  });

  test(`${name}: unknown topics and records above the limit are refused by name`, async () => {
    const bus = await open(storage());
    const big = { topic: 'a', key: 'x', value: new Uint8Array(70_000), headers: {} };
    expect(
      await bus.publish([message('nowhere', 'x', 1), big, message('a', 'x', 1)]),
    ).toMatchObject([{ outcome: 'unknown-topic' }, { outcome: 'too-large' }, { outcome: 'ok' }]);
    expect(await bus.fetch('nowhere', 'g', [], 1)).toEqual({ outcome: 'unknown-topic' });
    await bus.close();
  });
};
