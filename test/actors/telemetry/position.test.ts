import { expect, test } from 'vitest';
import {
  afterFile,
  afterSegment,
  nextPosition,
  parsePosition,
} from '#actors/telemetry/position.ts';

const file = (name: string, bytes = 100, modifiedMs = 5) => ({
  name,
  path: `/captures/${name}`,
  bytes,
  modifiedMs,
});
const FILES = [file('a.pcap'), file('b.pcap'), file('c.pcap')];
const SOURCE = 'pcap:/captures';
const RUN_1 = { pid: 1, startMs: 1_000_000 };
const RUN_2 = { pid: 1, startMs: 9_000_000 };
const RUN_3 = { pid: 2, startMs: 1_000_000 };

const first = nextPosition(undefined, SOURCE, FILES, RUN_1);
const second = afterFile(first, FILES);
const finished = afterFile(afterFile(second, FILES), FILES);

test('a source begins with its first file and epoch 1', () => {
  expect(first).toEqual({ source: SOURCE, epoch: 1, done: [], complete: false, run: RUN_1 });
});

test('an interrupted source goes on with the file that was not finished, under a new epoch', () => {
  const again = nextPosition(parsePosition(JSON.stringify(second)), SOURCE, FILES, RUN_2);
  expect(again).toMatchObject({ epoch: 2, complete: false, run: RUN_2 });
  expect(again.done.map(({ name }) => name)).toEqual(['a.pcap']);
});

test('a source that was read to its end stays ended within one run of the process', () => {
  expect(nextPosition(finished, SOURCE, FILES, { pid: 1, startMs: 1_000_700 })).toMatchObject({
    epoch: 2,
    complete: true,
  });
});

test.each([RUN_2, RUN_3])('a source that was read to its end begins anew with run %j', (run) => {
  const anew = { epoch: 2, done: [], complete: false };
  expect(nextPosition(finished, SOURCE, FILES, run)).toMatchObject(anew);
});

test('a source whose read files have changed, or another source, begins anew', () => {
  const changed = [file('a.pcap', 101), ...FILES.slice(1)];
  expect(nextPosition(second, SOURCE, changed, RUN_2).done).toEqual([]);
  expect(nextPosition(second, 'flows:/captures', FILES, RUN_2).done).toEqual([]);
});

test('files that were added behind those read are read next', () => {
  const more = [...FILES, file('d.pcap')];
  const on = nextPosition(finished, SOURCE, more, RUN_1);
  expect(on).toMatchObject({ complete: false });
  expect(on.done).toHaveLength(3);
});

test('an epoch is never used twice', () => {
  let position = first;
  for (let i = 2; i < 6; i++) {
    position = nextPosition(position, i % 2 === 0 ? 'synthetic' : SOURCE, [], RUN_2);
    expect(position.epoch).toBe(i);
  }
});

const TABLE = 'postgres:db:5432/lab flows id';
const begun = nextPosition(undefined, TABLE, [], RUN_1);
const segment = afterSegment(begun, { after: '250000', rows: 250_000 }, false);
const kept = (position: typeof begun) => parsePosition(JSON.stringify(position));

test('a table goes on behind its last segment, under a new epoch, whoever reads it next', () => {
  for (const run of [RUN_1, RUN_2]) {
    expect(nextPosition(kept(segment), TABLE, [], run)).toMatchObject({
      ...{ epoch: 2, table: { after: '250000', rows: 250_000 }, complete: false },
    });
  }
  expect(nextPosition(kept(segment), 'postgres:db:5432/lab others id', [], RUN_2).table).toBe(
    undefined,
  );
});

test('a table that was read to its end stays ended within one run, and the next one goes on', () => {
  const ended = afterSegment(segment, { after: '260000', rows: 260_000 }, true);
  expect(nextPosition(kept(ended), TABLE, [], RUN_1).complete).toBe(true);
  expect(nextPosition(kept(ended), TABLE, [], RUN_2)).toMatchObject({
    ...{ table: { after: '260000' }, complete: false },
  });
});

test('a table without a row has a position, too', () => {
  const empty = afterSegment(begun, { rows: 0 }, true);
  expect(nextPosition(kept(empty), TABLE, [], RUN_2)).toMatchObject({ table: { rows: 0 } });
});
