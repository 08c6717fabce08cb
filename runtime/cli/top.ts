/** `top`: a live table of actors; where output is no terminal, one table. */
import { setTimeout as sleep } from 'node:timers/promises';
import { openScreen } from '#runtime/live/screen.ts';
import type { Numbers } from '#runtime/live/top-numbers.ts';
import { SORT_KEYS, type SortKey, topLines, topRows } from '#runtime/live/top-view.ts';
import { closest } from '#runtime/topology/nearest.ts';
import { readDuration } from './arguments.ts';
import { EXIT } from './command.ts';
import { type Asking, commandOf, type Keyboard, unlessLeft, verb, wrong } from './verb.ts';

const OPTIONS = {
  sort: { type: 'string' },
  every: { type: 'string' },
  once: { type: 'boolean' },
} as const;
const EVERY_MS = 1000;

/** The key that sorts by each column. */
const KEYS: ReadonlyMap<string, SortKey> = new Map([
  ['r', 'rate'],
  ['d', 'depth'],
  ['5', 'p50'],
  ['9', 'p99'],
  ['s', 'restarts'],
  ['l', 'lag'],
  ['m', 'memory'],
  ['n', 'name'],
]);
const KEYS_SHOWN = `${[...KEYS].map(([key, name]) => `${key} ${name}`).join('  ')}  q quit`;

/** Keys as they are pressed, up to the one that `onKey` says is the last; what was typed behind it is left. */
const listen = ({ input }: Keyboard, onKey: (key: string) => 'on' | 'last'): (() => void) => {
  const deafen = (): void => {
    if (input.listeners('data').includes(heard)) {
      input.off('data', heard);
      input.setRawMode(false);
      input.pause();
    }
  };
  const heard = (chunk: Buffer): void => {
    const keys = chunk.toString('latin1');
    for (let k = 0; k < keys.length; k++) {
      if (onKey(keys[k]!) === 'on') continue;
      deafen();
      if (k + 1 < keys.length) input.unshift(chunk.subarray(k + 1));
      return;
    }
  };
  input.setRawMode(true);
  input.resume();
  input.on('data', heard);
  return deafen;
};

/** Ctrl-C and Ctrl-D among them: raw keys raise no signal. */
const QUIT: readonly string[] = ['q', '\u0003', '\u0004'];

const interactive = async (
  { node, signal }: Asking,
  keyboard: Keyboard,
  first: SortKey,
  everyMs: number,
): Promise<number> => {
  const { output } = keyboard;
  const screen = openScreen(output);
  const quit = new AbortController();
  let sort = first;
  let now: Numbers | undefined;
  let before: Numbers | undefined;
  const draw = (): void => {
    if (now === undefined) return;
    const size = { columns: screen.width(), rows: Math.max(3, (output.rows || 24) - 3) };
    screen.draw([...topLines(now, before, sort, size), KEYS_SHOWN.slice(0, size.columns)]);
  };
  const deafen = listen(keyboard, (key) => {
    sort = KEYS.get(key) ?? sort;
    draw();
    if (!QUIT.includes(key)) return 'on';
    quit.abort();
    return 'last';
  });
  output.on('resize', draw);
  const over = AbortSignal.any([signal, quit.signal]);
  try {
    while (!over.aborted) {
      const next = await unlessLeft(node.numbers(), over, 0);
      if (next === undefined) break;
      before = now;
      now = next;
      draw();
      await sleep(everyMs, undefined, { signal: over }).catch(() => {}); // a key ends it
    }
  } finally {
    deafen();
    output.off('resize', draw);
    screen.showCursor();
  }
  return EXIT.ok;
};

const once = async (
  { node, io, signal }: Asking,
  sort: SortKey,
  everyMs: number,
): Promise<number> => {
  const before = await node.numbers();
  await sleep(everyMs, undefined, { signal }).catch(() => {}); // Ctrl-C: with what there is
  const now = await node.numbers();
  const size = { columns: Number.POSITIVE_INFINITY, rows: Number.POSITIVE_INFINITY };
  if (io.json) {
    const { residentBytes, threads } = now;
    io.out(JSON.stringify({ residentBytes, threads, actors: topRows(now, before, sort) }));
  } else io.out(topLines(now, before, sort, size).join('\n'));
  return EXIT.ok;
};

export const top = verb({
  name: 'top',
  summary: 'a live table of actors: rate, depth, handling time, restarts, memory, lag',
  usage: `[--sort ${SORT_KEYS.join('|')}] [--every 1s] [--once] [-o json]

On a terminal it is drawn anew every second; the keys under it sort, q leaves. Elsewhere, and with --once or -o json, one
table. Rates and handling times are those between two readings; where nothing was handled, those since the start.
Memory and lag are those of the actor's thread: actors that share one show the same.`,
  options: OPTIONS,
  positionals: [],
  optional: 0,
  run: async (asking, { options }) => {
    const sort = SORT_KEYS.find((key) => key === (options.sort ?? 'rate'));
    if (sort === undefined) {
      const near = closest(options.sort!, SORT_KEYS);
      return wrong(
        asking,
        'top',
        `--sort: no such column${near === undefined ? '' : `; did you mean ${near}?`}`,
      );
    }
    const every = options.every === undefined ? undefined : readDuration(options.every);
    if (every?.ok === false) return wrong(asking, 'top', `--every: ${every.error}`);
    const everyMs = every?.value ?? EVERY_MS;
    const { keyboard } = asking;
    if (keyboard === undefined || options.once) return once(asking, sort, everyMs);
    return interactive(asking, keyboard, sort, everyMs);
  },
});

export const command = commandOf(top);
