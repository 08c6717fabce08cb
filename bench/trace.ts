/**
 * Claim: a trace context that travels with every message costs at most 10 %, recorded spans at most 50 %. The same
 * tells with no context, with it, with a sixteenth of all traces recorded, and with all of them; rounds interleaved.
 *
 *   node bench/trace.ts [messages] [-o json]
 */
import { parseArgs } from 'node:util';
import { tellRate } from './kit/lane-system.ts';
import { markdown } from './kit/markdown.ts';
import { provenance } from './kit/provenance.ts';

const ROUNDS = 7;
const MODES = {
  off: { carried: false, ratio: 0 },
  carried: { carried: true, ratio: 0 },
  'recorded, 1 of 16': { carried: true, ratio: 1 / 16 },
  recorded: { carried: true, ratio: 1 },
} as const;
type Mode = keyof typeof MODES;
const TARGETS: { readonly [M in Mode]?: number } = { carried: 0.1, recorded: 0.5 };
const JOBS = { 'tell small': '64 B, 64 a step', 'tell event': '300 B, 64 a step' } as const;

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[values.length >> 1]!;

const options = { o: { type: 'string', short: 'o' } } as const;
const { values, positionals } = parseArgs({ options, allowPositionals: true });
const messages = Number(positionals[0] ?? 1_000_000);
const modes = Object.keys(MODES) as Mode[];

const results = [];
for (const [job, what] of Object.entries(JOBS)) {
  const rates = new Map<Mode, number[]>(modes.map((mode) => [mode, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const mode of modes) {
      rates.get(mode)!.push(await tellRate(job, messages, { trace: MODES[mode] }));
    }
  }
  const baseline = median(rates.get('off')!);
  for (const mode of modes) {
    const own = rates.get(mode)!;
    // The cost of a message, compared within each round: what else the machine did is in both.
    const cost = median(own.map((rate, k) => rates.get('off')![k]! / rate - 1));
    const target = TARGETS[mode];
    results.push({
      bench: 'trace',
      name: `tell ${what}, ${mode}`,
      unit: 'msg/s',
      median: Math.round(median(own)),
      min: Math.round(Math.min(...own)),
      max: Math.round(Math.max(...own)),
      baseline: Math.round(baseline),
      ratio: Number(cost.toFixed(3)),
      target: target ?? null,
      met: target === undefined ? null : cost <= target,
    });
  }
}

if (values.o === 'json') console.log(JSON.stringify(results));
else {
  console.log(`${provenance()}, ${messages} messages, medians of ${ROUNDS} interleaved rounds\n`);
  const rows = results.map((r) => [
    r.name,
    r.median.toLocaleString('en'),
    `${(r.ratio * 100).toFixed(1)} %`,
    r.target === null ? '' : `<= ${r.target * 100} %: ${r.met ? 'met' : 'missed'}`,
  ]);
  console.log(markdown(['', 'msg/s', 'cost', 'target'], rows));
}
process.exit(0);
