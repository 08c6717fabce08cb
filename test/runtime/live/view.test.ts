import { firstValueFrom, lastValueFrom, of, take, toArray } from 'rxjs';
import { expect, test } from 'vitest';
import { openScreen } from '#runtime/live/screen.ts';
import { statusLines } from '#runtime/live/status-view.ts';
import { frames, snapshots } from '#runtime/live/stream.ts';
import { reading, sampleSnapshot } from '#test/kit/snapshots.ts';

const header = {
  node: 'local',
  topology: 'config/local.yaml',
  startedAtMs: 0,
  api: 'http://127.0.0.1:8080/api/v1',
  source: 'synthetic traffic (made up)',
};

test('the status shows stages with rates, height, roots, restarts, notices and the API', () => {
  const before = sampleSnapshot({
    atMs: 9_000,
    readings: [
      { path: 'features', actor: 'features', metrics: reading({ counters: { stage_flows: 400 } }) },
    ],
  });
  const text = statusLines(header, sampleSnapshot(), before, 120).join('\n');
  expect(text).toContain('up 00:00:10');
  expect(text).toContain('1,000');
  expect(text).toContain('600/s');
  expect(text).toContain('height 9   view 12   view changes 0   commit p50 25 ms');
  expect(text).toContain('v1 aa11  v2 aa11');
  expect(text).toContain('restarts 2   dead letters 2   v2.executor (running, 2x)');
  expect(text).toContain('00:00:00 policy: drop 10.0.0.1');
  expect(text).toContain('http://127.0.0.1:8080/api/v1');
});

test('no line is wider than the terminal, and text from traffic cannot steer it', () => {
  const lines = statusLines(header, sampleSnapshot(), undefined, 40);
  expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(40);
  expect(lines.join('')).not.toContain('\u001b');
});

test('the screen draws in place, keeps what is written above and gives the cursor back', () => {
  const written: string[] = [];
  const screen = openScreen({ write: (text) => written.push(text), columns: 81, rows: 3 });
  screen.draw(['a', 'b', 'c']);
  expect(written.at(-1)).toBe('\u001b[?25la\nb\n');
  screen.draw(['d']);
  expect(written.at(-1)).toBe('\u001b[?25l\r\u001b[2A\u001b[Jd\n');
  screen.above('note');
  expect(written.at(-1)).toBe('\u001b[?25l\r\u001b[1A\u001b[Jnote\nd\n');
  screen.showCursor();
  expect(written.at(-1)).toBe('\u001b[?25h');
  expect(screen.width()).toBe(80);
});

test('a snapshot that fails is left out; the next one comes', async () => {
  let calls = 0;
  const take1 = async () => {
    calls++;
    if (calls === 1) throw new Error('late');
    return sampleSnapshot({ atMs: calls });
  };
  const first = await firstValueFrom(snapshots(take1, 1));
  expect(first.atMs).toBe(2);
});

test('no snapshot is asked for while one is awaited', async () => {
  let open = 0;
  let most = 0;
  const slow = async () => {
    most = Math.max(most, ++open);
    await new Promise((resolve) => setTimeout(resolve, 20));
    open--;
    return sampleSnapshot();
  };
  await lastValueFrom(snapshots(slow, 1).pipe(take(3)));
  expect(most).toBe(1);
});

test('a frame holds an earlier snapshot to count rates from', async () => {
  const source = of(...[1, 2, 3, 4, 5, 6, 7, 8].map((atMs) => sampleSnapshot({ atMs })));
  const all = await lastValueFrom(frames(source).pipe(toArray()));
  expect(all.map(({ now, before }) => [now.atMs, before?.atMs])).toEqual([
    [1, undefined],
    [2, 1],
    [3, 1],
    [4, 1],
    [5, 1],
    [6, 1],
    [7, 2],
    [8, 3],
  ]);
});
