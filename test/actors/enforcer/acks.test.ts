/** The outbox: whatever the bus takes, loses and answers late, each policy's acknowledgements go in order and none is lost. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type Ack,
  addAcks,
  newOutbox,
  nextToSend,
  pendingAcks,
  returned,
} from '#actors/enforcer/acks.ts';

const SEED = 20_261_121;
const OPEN_MAX = 4;

test('of each policy one is on its way, in order, whatever comes back; nothing is lost or sent twice at once', () => {
  const steps = fc.array(
    fc.oneof(
      fc.record({ add: fc.array(fc.nat({ max: 5 }), { maxLength: 8 }) }),
      fc.record({ answer: fc.nat({ max: 7 }), again: fc.boolean() }),
    ),
    { maxLength: 120 },
  );
  const property = fc.property(steps, (all) => {
    const outbox = newOutbox([]);
    const open: Ack[] = [];
    const wanted = new Map<string, string[]>();
    const arrived = new Map<string, string[]>();
    let count = 0;
    const listOf = (of: Map<string, string[]>, policy: string): string[] => {
      const list = of.get(policy) ?? [];
      of.set(policy, list);
      return list;
    };
    const send = (): void => {
      open.push(...nextToSend(outbox, OPEN_MAX));
      expect(open.length).toBeLessThanOrEqual(OPEN_MAX);
      expect(new Set(open.map(({ policyId }) => policyId)).size).toBe(open.length);
    };
    const answer = (at: number, again: boolean): void => {
      const [ack] = open.splice(at % open.length, 1) as [Ack];
      expect(returned(outbox, ack.id, again)).toBe(ack);
      if (!again) listOf(arrived, ack.policyId).push(ack.id);
      send();
    };
    for (const step of all) {
      if ('add' in step) {
        const acks = step.add.map((policy): Ack => {
          const ack = {
            id: `ack-${count++}`,
            policyId: `policy-${policy}`,
            bytes: new Uint8Array(),
          };
          listOf(wanted, ack.policyId).push(ack.id);
          return ack;
        });
        addAcks(outbox, acks);
        send();
      } else if (open.length > 0) answer(step.answer, step.again);
    }
    while (open.length > 0) answer(0, false);
    expect(pendingAcks(outbox)).toBe(0);
    expect([...arrived].toSorted()).toEqual([...wanted].toSorted());
  });
  fc.assert(property, { seed: SEED, numRuns: 500 });
});

test('many thousands go through, and their places do not stay', () => {
  const acks = Array.from({ length: 20_000 }, (_, k): Ack => {
    return { id: `${k}`, policyId: `policy-${k % 7000}`, bytes: new Uint8Array() };
  });
  const outbox = newOutbox(acks);
  const sent: string[] = [];
  for (let more = nextToSend(outbox, 64); more.length > 0; more = nextToSend(outbox, 64)) {
    for (const { id } of more) {
      sent.push(id);
      returned(outbox, id, false);
    }
  }
  expect(sent).toEqual(acks.map(({ id }) => id));
  expect(outbox.waiting.length).toBeLessThan(3000);
});

test('an answer to what is not on its way changes nothing', () => {
  const outbox = newOutbox([{ id: 'a', policyId: 'p', bytes: new Uint8Array() }]);
  expect(returned(outbox, 'a', true)).toBeUndefined();
  expect(pendingAcks(outbox)).toBe(1);
});
