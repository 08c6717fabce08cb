/** What one real broker cannot show: leaders that move, nodes that go and come, late answers. */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openKafka } from '#runtime/bus/kafka/driver.ts';
import { type KafkaMock, mockNeeds, startMock } from '#test/kit/kafka-mock.ts';

const NODES = 3;
const PARTITIONS = 6;
const KEYS = 12;
const EACH = 250;

describe.skipIf(mockNeeds() !== '')(
  'Kafka, three mock nodes (needs gcc and librdkafka-dev)',
  () => {
    let mock: KafkaMock;
    beforeAll(async () => {
      mock = await startMock(NODES, [`t:${PARTITIONS}`]);
    });
    afterAll(() => mock.close());

    const open = () =>
      openKafka({
        brokers: mock.brokers,
        clientId: 'test',
        tls: undefined,
        sasl: undefined,
        topics: ['t'],
        create: undefined,
        groupPrefix: '',
        recordBytesMax: 65_536,
        deliveryMs: 1000,
        requestMs: 2500,
        now: Date.now,
        say: () => undefined,
        appended: () => undefined,
        lag: () => undefined,
      });

    /** Every leader moves each 300 ms; in between a node is down for 700 ms, or late by 400 ms. */
    const disturb = async (isOver: () => boolean): Promise<void> => {
      for (let round = 0; !isOver(); round++) {
        const node = 1 + (round % NODES);
        for (let part = 0; part < PARTITIONS; part++) {
          await mock.tell(`leader t ${part} ${1 + ((part + round) % NODES)}`);
        }
        if (round % 3 === 1) {
          await mock.tell(`down ${node}`);
          await pause(700);
          await mock.tell(`up ${node}`);
        } else if (round % 3 === 2) {
          await mock.tell(`rtt ${node} 400`);
          await pause(600);
          await mock.tell(`rtt ${node} 0`);
        }
        await pause(300);
      }
    };

    test('while leaders move and nodes go and come, nothing is lost and each key stays in order', async () => {
      const bus = await open();
      let over = false;
      const disturbing = disturb(() => over);
      const publishing = [...Array(KEYS).keys()].map(async (key) => {
        for (let n = 0; n < EACH; n++) {
          const value = new TextEncoder().encode(`${key}:${n}`);
          for (;;) {
            const [outcome] = await bus.publish([
              { topic: 't', key: `k${key}`, value, headers: {} },
            ]);
            if (outcome!.outcome === 'ok') break;
            expect(outcome).toEqual({ outcome: 'unavailable' });
            await pause(30);
          }
          await pause(4);
        }
      });
      const seen = new Map<string, number[]>();
      let missing = KEYS * EACH;
      let positions: readonly number[] = [];
      const consuming = (async () => {
        while (missing > 0) {
          const page = await bus.fetch('t', 'g', positions, 100);
          if (page.outcome === 'ok') {
            positions = page.positions;
            for (const { key, value } of page.records) {
              const n = Number(new TextDecoder().decode(value).split(':')[1]);
              const own = seen.get(key) ?? [];
              // The mock does not recognise repeats, a real broker does: only first sights count here.
              if (!own.includes(n)) {
                seen.set(key, [...own, n]);
                missing--;
              }
            }
            await bus.commit('t', 'g', positions);
          }
          await pause(20);
        }
      })();
      await Promise.all(publishing);
      over = true;
      await disturbing;
      await consuming;
      for (const own of seen.values()) expect(own).toEqual([...Array(EACH).keys()]);
      await bus.close();
      const again = await open();
      expect(await again.fetch('t', 'g', [], 10)).toMatchObject({ outcome: 'ok', records: [] });
      await again.close();
    }, 120_000);
  },
);
