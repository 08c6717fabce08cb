/**
 * Claim: a trace context that travels with every message costs at most 10 %, recorded spans at most 50 %. The same
 * tells with no context, with it, with a sixteenth of all traces recorded, and with all of them; rounds interleaved. The cost
 * is processor time of both threads, which others on the machine change less than the rate; nobody spins.
 *
 *   node bench/trace.ts [messages] [-o json]
 */
import { parseArgs } from 'node:util';
import { laneFigures } from './kit/lane-system.ts';
import { markdown } from './kit/markdown.ts';
import { provenance } from './kit/provenance.ts';

const ROUNDS = 5;
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
  const costs = new Map<Mode, number[]>(modes.map((mode) => [mode, []]));
  for (let round = 0; round < ROUNDS; round++) {
    for (const mode of modes) {
      const given = { trace: MODES[mode], spinUs: 0 };
      const { rate, cpuNs } = await laneFigures(job, messages, given);
      rates.get(mode)!.push(rate!);
      costs.get(mode)!.push(cpuNs!);
    }
  }
  const baseline = median(costs.get('off')!);
  for (const mode of modes) {
    const own = costs.get(mode)!;
    const cost = median(own) / baseline - 1;
    const target = TARGETS[mode];
    results.push({
      bench: 'trace',
      name: `tell ${what}, ${mode}`,
      unit: 'ns of processor time a message',
      median: Math.round(median(own)),
      min: Math.round(Math.min(...own)),
      max: Math.round(Math.max(...own)),
      rate: Math.round(median(rates.get(mode)!)),
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
    `${r.median} (${r.min}..${r.max})`,
    r.rate.toLocaleString('en'),
    `${(r.ratio * 100).toFixed(1)} %`,
    r.target === null ? '' : `<= ${r.target * 100} %: ${r.met ? 'met' : 'missed'}`,
  ]);
  console.log(markdown(['', 'ns a message', 'msg/s', 'cost', 'target'], rows));
}
process.exit(0);
