/** What every benchmark of the kernel shares: its options, and how its rows are printed. */
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { provenance } from './provenance.ts';
import { type Measured, table } from './rows.ts';

export type Options = {
  readonly rounds: number;
  /** Says on standard error what was left out, and why. */
  readonly note: (text: string) => void;
};

/**
 * Runs a benchmark as a program: `[--rounds n] [-o json]`. Exits with 1 when a gate is missed, so that a
 * script can tell.
 */
export const benchMain = async (
  run: (options: Options) => Promise<readonly Measured[]>,
  roundsDefault = 5,
): Promise<void> => {
  const { values } = parseArgs({
    options: { rounds: { type: 'string' }, output: { type: 'string', short: 'o' } },
  });
  const rounds = Number(values.rounds ?? roundsDefault);
  if (!Number.isInteger(rounds) || rounds < 1) {
    console.error(`--rounds takes a number above 0, not ${values.rounds}`);
    process.exit(2);
  }
  const load = loadavg()[0]!.toFixed(1);
  const rows = await run({ rounds, note: (text) => console.error(text) });
  if (values.output === 'json') console.log(JSON.stringify(rows.map(({ row }) => row)));
  else {
    const after = loadavg()[0]!.toFixed(1);
    const how = `${rounds} interleaved rounds, load ${load} before and ${after} after`;
    console.log(`${provenance()}\n${how}\n\n${table(rows)}`);
  }
  process.exit(rows.some(({ row }) => row.met === false) ? 1 : 0);
};
