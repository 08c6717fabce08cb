/**
 * Claim: how long a question and its answer take: parked (both threads asleep before it) against postMessage, and hot
 * (one right after the other).
 *
 *   node runtime bench ask [--rounds n] [-o json]
 */
import { postedAsk } from './baselines/posted.ts';
import { benchActor, measured } from './kit/lane-system.ts';
import { benchMain, type Options } from './kit/main.ts';
import { interleave } from './kit/rounds.ts';
import { compared, figure, type Measured } from './kit/rows.ts';

/** The code is compiled before it is timed, as in a system that runs for longer than this. */
const PARKED = { asks: 400, warm: 30_000, pauseMs: 2 };
const HOT = { asks: 50_000, warm: 30_000, pauseMs: 0 };
const HOT_POSTED = { asks: 10_000, warm: 5_000 };

const asked = (config: object) => () =>
  measured([benchActor('sink', 'sink'), benchActor('asker', 'asker', config)], 'asker');

const run = async ({ rounds }: Options): Promise<Measured[]> => {
  const all = await interleave(
    [
      { name: 'parked', measure: asked(PARKED) },
      {
        name: 'posted parked',
        measure: () => postedAsk(PARKED.asks, HOT_POSTED.warm, PARKED.pauseMs),
      },
      { name: 'hot', measure: asked(HOT) },
      { name: 'posted hot', measure: () => postedAsk(HOT_POSTED.asks, HOT_POSTED.warm, 0) },
    ],
    rounds,
  );
  const what = (name: string) => ({ bench: 'ask', name, unit: 'us' as const });
  const [parked, posted] = [all.of('parked', 'p50'), all.of('posted parked', 'p50')];
  const against = (q: string) =>
    compared(what(`hot, ${q}, against postMessage`), all.of('hot', q), all.of('posted hot', q));
  return [
    compared(what('parked, p50, against postMessage'), parked, posted, { gate: 1 }),
    figure(what('hot, p50'), all.of('hot', 'p50'), { gate: 2, stretch: 0.9 }),
    figure(what('hot, p99'), all.of('hot', 'p99'), { gate: 20, stretch: 5 }),
    against('p50'),
    against('p99'),
  ];
};

await benchMain(run);
