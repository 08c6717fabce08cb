/**
 * Claim: a trace context that travels with every message costs at most 10 %, recorded spans at most 50 %. The same
 * tells with no context, with it, with a sixteenth of all traces recorded, and with all of them. The cost is processor
 * time of all threads, which others on the machine change less than the rate, beside no context in the same round; nobody
 * spins.
 *
 *   node runtime bench trace [--rounds n] [-o json]
 */
import type { Job } from './fixtures/protocol.ts';
import { tellCost } from './kit/lane-system.ts';
import { benchMain, type Options } from './kit/main.ts';
import { interleave, type Party } from './kit/rounds.ts';
import { figure, type Measured, type Target } from './kit/rows.ts';

const MESSAGES = 1 << 20;
const NONE = 'no context';
const MODES = {
  [NONE]: { carried: false, ratio: 0 },
  carried: { carried: true, ratio: 0 },
  'recorded, 1 of 16': { carried: true, ratio: 1 / 16 },
  recorded: { carried: true, ratio: 1 },
} as const;
type Mode = keyof typeof MODES;
const TARGETS: { readonly [M in Mode]?: Target } = {
  carried: { gate: 10, stretch: 2 },
  recorded: { gate: 50, stretch: 25 },
};
const JOBS: readonly { readonly job: Job; readonly what: string }[] = [
  { job: 'tell small', what: '64 B, 32 a step' },
  { job: 'tell event', what: '300 B, 32 a step' },
];

const party = (job: Job, mode: Mode): Party => ({
  name: `${job} ${mode}`,
  measure: async () => ({
    cost: await tellCost(job, MESSAGES, { trace: MODES[mode], spinUs: 0 }),
  }),
});

const run = async ({ rounds }: Options): Promise<Measured[]> => {
  const modes = Object.keys(MODES) as Mode[];
  const parties = JOBS.flatMap(({ job }) => modes.map((mode) => party(job, mode)));
  const all = await interleave(parties, rounds, 1);
  return JOBS.flatMap(({ job, what }) => {
    const none = all.of(`${job} ${NONE}`, 'cost');
    const base = { bench: 'trace', name: `a tell, ${what}, ${NONE}`, unit: 'us' } as const;
    const costs = modes
      .filter((mode) => mode !== NONE)
      .map((mode) => {
        const more = all.of(`${job} ${mode}`, 'cost').map((cost, k) => (cost / none[k]! - 1) * 100);
        const name = `cost of a tell, ${what}, context ${mode}`;
        return figure({ bench: 'trace', name, unit: '%' }, more, TARGETS[mode]);
      });
    const noneUs = none.map((nanos) => nanos / 1000);
    return [figure(base, noneUs), ...costs];
  });
};

await benchMain(run);
