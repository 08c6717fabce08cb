/**
 * Claim: 64 tokens around a ring of six actors, a thread each and three a thread, against the same ring of message
 * ports.
 *
 *   node runtime bench ring [--rounds n] [-o json]
 */
import { postedRing } from './baselines/posted.ts';
import { benchActor, measured } from './kit/lane-system.ts';
import { benchMain, type Options } from './kit/main.ts';
import { interleave, type Party } from './kit/rounds.ts';
import { compared, type Measured } from './kit/rows.ts';

const STATIONS = 6;
const TOKENS = 64;
/** Of each token; multiples of the stations. */
const APART = { warm: 3_000, timed: 12_000 };
const TOGETHER = { warm: 6_000, timed: 60_000 };
const POSTED = { warm: 600, timed: 3_000 };

const lanes = (perThread: number, hops: typeof APART): Party['measure'] => {
  const children = Array.from({ length: STATIONS }, (_, k) => {
    const next = `s${(k + 1) % STATIONS}`;
    const tokens = k === 0 ? TOKENS : 0;
    const config = { next, tokens, warmHops: hops.warm, hops: hops.timed };
    const thread = k % perThread === 0 ? 'own' : `s${k - (k % perThread)}`;
    return benchActor(`s${k}`, 'station', config, { thread });
  });
  return () => measured(children, 's0');
};

const run = async ({ rounds }: Options): Promise<Measured[]> => {
  const all = await interleave(
    [
      { name: 'apart', measure: lanes(1, APART) },
      { name: 'posted apart', measure: () => postedRing(STATIONS, 1, TOKENS, POSTED) },
      { name: 'together', measure: lanes(3, TOGETHER) },
      { name: 'posted together', measure: () => postedRing(STATIONS, 3, TOKENS, POSTED) },
    ],
    rounds,
  );
  const row = (ours: string, where: string, gate: number, stretch: number): Measured => {
    const name = `6 actors, 64 tokens, ${where}, against postMessage`;
    const what = { bench: 'ring', name, unit: 'msg/s' } as const;
    return compared(what, all.of(ours), all.of(`posted ${ours}`), { gate, stretch });
  };
  return [row('apart', 'a thread each', 2.5, 3.3), row('together', '3 a thread', 15, 20)];
};

await benchMain(run);
