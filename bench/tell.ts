/**
 * Claim: a message of 64 bytes from an actor to one on another thread, through the whole API (core.step, envelope, trace
 * context), against what else there is: postMessage, arrays of 64 by postMessage, Erlang/OTP, Comlink, Piscina, and
 * the actor libraries of npm.
 *
 *   node runtime bench tell [--rounds n] [-o json]
 */
import { openErlang } from './baselines/erlang.ts';
import { libraries } from './baselines/libraries.ts';
import { postedTell } from './baselines/posted.ts';
import { tellRate } from './kit/lane-system.ts';
import { benchMain, type Options } from './kit/main.ts';
import { interleave, type Party } from './kit/rounds.ts';
import { compared, type Measured, type Target } from './kit/rows.ts';

const OURS = 3 << 20;
const POSTED = 1 << 18;
const ERLANG = 2_000_000;

const lanes = (name: string, perStep: number): Party => ({
  name,
  measure: async () => ({ rate: await tellRate('tell small', OURS, {}, perStep) }),
});

const SINGLE = 'postMessage';
const ARRAYS = 'arrays of 64';
const ERLANG_NAME = 'Erlang/OTP bounded';
const posted: readonly Party[] = [
  { name: SINGLE, measure: () => postedTell('tell small', POSTED, 1 << 16, 1) },
  { name: ARRAYS, measure: () => postedTell('tell small', 2 * POSTED, 1 << 16, 64) },
];

type Gates = { readonly name: string; readonly against: { readonly [name: string]: Target } };
const GATES: readonly Gates[] = [
  {
    name: '32 a step',
    against: {
      [SINGLE]: { gate: 15, stretch: 25 },
      [ARRAYS]: { gate: 7, stretch: 10 },
      [ERLANG_NAME]: { gate: 2.2, stretch: 3 },
    },
  },
  {
    name: 'one a step',
    against: {
      [SINGLE]: { gate: 12, stretch: 20 },
      [ARRAYS]: { gate: 6, stretch: 8 },
      [ERLANG_NAME]: { gate: 1.8, stretch: 2.2 },
    },
  },
];

const run = async ({ rounds, note }: Options): Promise<Measured[]> => {
  const erlang = openErlang();
  if (erlang === undefined) note('tell: no Erlang here (apt-get install erlang-base), left out');
  const foreign = await libraries(note);
  const parties: Party[] = [
    lanes('32 a step', 32),
    lanes('one a step', 1),
    ...posted,
    ...(erlang === undefined ? [] : [{ name: ERLANG_NAME, measure: () => erlang.measure(ERLANG) }]),
    ...foreign,
  ];
  try {
    const all = await interleave(parties, rounds);
    const what = (name: string) => ({ bench: 'tell', name, unit: 'msg/s' as const });
    const ours = GATES.flatMap(({ name, against }) =>
      Object.entries(against)
        .filter(([other]) => all.has(other))
        .map(([other, target]) =>
          compared(what(`64 B, ${name}, against ${other}`), all.of(name), all.of(other), target),
        ),
    );
    const others = foreign.map(({ name }) =>
      compared(what(`64 B, 32 a step, against ${name}`), all.of('32 a step'), all.of(name)),
    );
    return [...ours, ...others];
  } finally {
    erlang?.remove();
  }
};

await benchMain(run);
