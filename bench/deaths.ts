/**
 * Claim: threads terminated at random, senders and receivers, under flood: every lane goes on, nothing arrives twice, each
 * death is noticed by whoever watches, and at most the message in hand is lost.
 *
 *   node runtime bench deaths [--rounds seeds] [-o json]     KILLS (all seeds together), SEED
 */
import { setTimeout as pause } from 'node:timers/promises';
import { supervisor, testSystem } from '#test/kit/system.ts';
import { LEDGERS, openTally, TALLY_BYTES, TELLERS } from './fixtures/tally.ts';
import { benchActor } from './kit/lane-system.ts';
import { benchMain, type Options } from './kit/main.ts';
import { type Figures, interleave } from './kit/rounds.ts';
import { figure, type Measured } from './kit/rows.ts';

const KILLS = Number(process.env.KILLS ?? 1000);
const SEED = Number(process.env.SEED ?? Date.now() % 100_000);
/** A lane that has moved nothing for so long is dead. */
const DEAD_MS = 30_000;
const PAUSE_MS_MAX = 20;

const randomFrom = (seed: number): ((most: number) => number) => {
  let state = seed;
  return (most) => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
    return (state >>> 8) % most;
  };
};

const NAMES = [
  ...Array.from({ length: TELLERS }, (_, k) => `teller${k}`),
  ...Array.from({ length: LEDGERS }, (_, k) => `ledger${k}`),
];

const start = (memory: SharedArrayBuffer) => {
  const mailbox = { depth: 1024, onFull: 'backpressure' } as const;
  const children = NAMES.map((name, k) =>
    k < TELLERS
      ? benchActor(name, 'teller', { memory, teller: k })
      : benchActor(name, 'ledger', { memory, ledger: k - TELLERS }, { mailbox }),
  );
  const tree = [benchActor('warden', 'warden', { memory }), ...children];
  const often = { restarts: 1_000_000, periodS: 1 };
  // Restarted almost at once: what is measured is the lanes, not the patience of the supervisor.
  const backoff = { firstMs: 1, mostMs: 2, jitter: 0, resetMs: 1 };
  return testSystem({ ...supervisor('root', tree, 'one_for_one', often), backoff });
};

/** `kills` terminations of random threads. */
const terminate = async (seed: number, kills: number): Promise<Figures> => {
  const random = randomFrom(seed);
  const memory = new SharedArrayBuffer(TALLY_BYTES);
  const tally = openTally(memory);
  const pairs = Array.from({ length: TELLERS * LEDGERS }, (_, k) => k);
  const of = (k: number) => tally.pair(k % TELLERS, Math.floor(k / TELLERS));
  const sum = (figure: 'read' | 'lost' | 'doubled'): number =>
    pairs.reduce((all, k) => all + of(k)[figure], 0);
  const killed = NAMES.map(() => 0);
  const system = await start(memory);
  let dead = 0;
  const moves = async (k: number, from: number): Promise<void> => {
    await system.until(() => of(k).read > from, DEAD_MS).catch(() => dead++);
  };
  try {
    await Promise.all(pairs.map((k) => moves(k, 0)));
    for (let done = 0; done < kills && dead === 0; done++) {
      await pause(random(PAUSE_MS_MAX));
      const victim = random(NAMES.length);
      killed[victim]!++;
      await system.kill(NAMES[victim]!);
      await system.until(() => tally.noticed(victim) >= killed[victim]!, DEAD_MS).catch(() => {});
      const before = pairs.map((k) => of(k).read);
      await Promise.all(pairs.map((k) => moves(k, before[k]!)));
    }
    const missed = killed.reduce((all, n, k) => all + Math.abs(n - tally.noticed(k)), 0);
    const torn = system.metrics().actors.reduce((all, one) => all + (one.counters.torn ?? 0), 0);
    const lost = sum('lost');
    // Each death may take one message in hand of each of its lanes.
    const over = pairs.reduce((all, k) => {
      const deaths = killed[k % TELLERS]! + killed[TELLERS + Math.floor(k / TELLERS)]!;
      return all + Math.max(0, of(k).lost - deaths);
    }, 0);
    return { dead, doubled: sum('doubled'), missed, torn, lost, over, read: sum('read') };
  } finally {
    await system.end();
  }
};

const run = async ({ rounds, note }: Options): Promise<Measured[]> => {
  const kills = Math.ceil(KILLS / rounds);
  let seed = SEED;
  note(`deaths: ${rounds} seeds from ${SEED}, ${kills} terminations each`);
  const measure = async (): Promise<Figures> => {
    const figures = await terminate(seed, kills);
    note(`deaths: seed ${seed}: ${JSON.stringify(figures)}`);
    seed++;
    return figures;
  };
  const party = { name: 'deaths', measure };
  const all = await interleave([party], rounds);
  /** Over all seeds: a median would hide the one that went wrong. */
  const row = (name: string, key: string, gate?: number): Measured => {
    const title = `${kills * rounds} terminations, ${rounds} seeds: ${name}`;
    const what = { bench: 'deaths', name: title, unit: 'count' } as const;
    const total = all.of('deaths', key).reduce((sum, n) => sum + n, 0);
    return figure(what, [total], gate === undefined ? undefined : { gate });
  };
  return [
    row('dead lanes', 'dead', 0),
    row('duplicates', 'doubled', 0),
    row('torn messages', 'torn', 0),
    row('ends not noticed, or twice', 'missed', 0),
    row('lost beyond the message in hand', 'over', 0),
    row('lost', 'lost'),
    row('messages read', 'read'),
  ];
};

await benchMain(run, 4);
