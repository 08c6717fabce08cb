import { expect, test } from 'vitest';
import { type Cluster, cluster } from '#test/kit/simulator/cluster.ts';

/** View v is led by v1, v2, v3, v4, v1, ... */
const four = (seed = 1): Cluster => {
  const made = cluster({ seed, n: 4, leaders: (view) => (view - 1) % 4 });
  made.pass(100);
  return made;
};

const timersOf = (made: Cluster): readonly string[][] =>
  made.nodes.map((node) => [...node.timers.keys()]);

test('nothing to agree on: no view, no message but heartbeats', () => {
  const made = four();
  made.pass(60_000);
  expect(made.said()).toEqual([]);
  expect(made.views()).toEqual([1, 1, 1, 1]);
  expect(timersOf(made)).toEqual([['heartbeat'], ['heartbeat'], ['heartbeat'], ['heartbeat']]);
});

test('one transaction: its block, an empty one that commits it, and silence', () => {
  const made = four();
  made.bring(1);
  made.pass(1_000);
  const said = made.said();
  expect(said.filter((line) => line.includes('proposes'))).toEqual([
    'v1 proposes in 1: 1',
    'v2 proposes in 2: 0',
  ]);
  expect(said.filter((line) => line.includes('votes'))).toHaveLength(8);
  expect(made.heights()).toEqual([1, 1, 1, 1]);
  expect(made.views()).toEqual([3, 3, 3, 3]);
  expect(timersOf(made)).toEqual([['heartbeat'], ['heartbeat'], ['heartbeat'], ['heartbeat']]);
  made.pass(120_000);
  expect(made.said()).toEqual([]);
  expect(made.views()).toEqual([3, 3, 3, 3]);
});

test('a transaction that one replica alone got is forwarded and committed by all', () => {
  const made = four();
  made.bring(1, [2]);
  made.pass(1_000);
  expect(made.heights()).toEqual([1, 1, 1, 1]);
});

test('one of four stopped: commits go on, over its views too', () => {
  const made = four();
  made.stop(1);
  for (let number = 1; number <= 5; number += 1) {
    made.bring(number);
    made.pass(5_000);
  }
  const heights = made.heights();
  expect(Math.min(heights[0]!, heights[2]!, heights[3]!)).toBeGreaterThanOrEqual(5);
  expect(heights[1]).toBe(0);
  expect(made.violation()).toBeUndefined();
});

test('two stopped: no commits; one back: all that was waiting is committed', () => {
  const made = four();
  made.bring(1);
  made.pass(2_000);
  made.stop(0);
  made.stop(1);
  made.bring(2);
  made.pass(60_000);
  expect(made.heights()).toEqual([1, 1, 1, 1]);
  made.restart(0);
  made.pass(10_000);
  const [first, , third, fourth] = made.nodes;
  for (const node of [first, third, fourth]) expect(node!.mempool.size).toBe(0);
  expect(made.heights()[2]).toBeGreaterThanOrEqual(2);
  expect(made.violation()).toBeUndefined();
});

test('one that was away catches up to the same root while the others go on', () => {
  const made = four();
  made.stop(3);
  for (let number = 1; number <= 150; number += 1) {
    made.bring(number, [0, 1, 2]);
    made.pass(200);
  }
  const away = made.heights()[0]!;
  expect(away).toBeGreaterThan(70);
  made.restart(3);
  for (let number = 200; number <= 240; number += 1) {
    made.bring(number);
    made.pass(200);
  }
  made.pass(10_000);
  const roots = made.nodes.map((node) => node.ledger.chain.at(-1)?.block.header.stateRoot);
  expect(new Set(roots).size).toBe(1);
  expect(new Set(made.heights()).size).toBe(1);
  expect(made.heights()[3]).toBeGreaterThan(away);
  expect(made.violation()).toBeUndefined();
});

test('all four die at once: after the restart nobody votes twice and the chain goes on', () => {
  for (let seed = 1; seed <= 20; seed += 1) {
    const made = four(seed);
    made.bring(1);
    made.pass(2 + seed);
    for (const place of [0, 1, 2, 3]) made.stop(place);
    made.pass(50);
    for (const place of [0, 1, 2, 3]) made.restart(place);
    made.pass(10_000);
    expect(made.violation(), `seed ${seed}`).toBeUndefined();
    expect(made.heights(), `seed ${seed}`).toEqual([1, 1, 1, 1]);
  }
});

test('a leader that is cut off costs one view', () => {
  const made = four();
  made.cutOff(0);
  made.bring(1, [1, 2, 3]);
  made.pass(3_000);
  const said = made.said().filter((line) => !line.startsWith('v1'));
  expect(said.filter((line) => line.includes('gives up'))).toHaveLength(3);
  expect(said.find((line) => line.includes('proposes'))).toBe('v2 proposes in 2: 1 after a TC');
  expect(made.heights().slice(1)).toEqual([1, 1, 1]);
  made.heal();
  made.pass(3_000);
  expect(made.heights()).toEqual([1, 1, 1, 1]);
});

test('cut off and healed over and over, everybody ends at the same height', () => {
  const made = four();
  for (let number = 1; number <= 12; number += 1) {
    made.cutOff(number % 4);
    made.bring(number, [(number + 1) % 4]);
    made.pass(2_000);
    made.heal();
    made.pass(1_000);
  }
  made.pass(20_000);
  expect(new Set(made.heights()).size).toBe(1);
  for (const node of made.nodes) expect(node.mempool.size).toBe(0);
  expect(made.violation()).toBeUndefined();
});
