/**
 * Claim: a typed event of 300 bytes, object in and object out, against the same object through postMessage.
 *
 *   node runtime bench event [--rounds n] [-o json]
 */
import { postedTell } from './baselines/posted.ts';
import { tellRate } from './kit/lane-system.ts';
import { benchMain, type Options } from './kit/main.ts';
import { interleave } from './kit/rounds.ts';
import { compared, type Measured } from './kit/rows.ts';

const OURS = 1 << 20;

const run = async ({ rounds }: Options): Promise<Measured[]> => {
  const all = await interleave(
    [
      { name: 'lanes', measure: async () => ({ rate: await tellRate('tell event', OURS) }) },
      { name: 'postMessage', measure: () => postedTell('tell event', 1 << 17, 1 << 15, 1) },
    ],
    rounds,
  );
  const what = {
    bench: 'event',
    name: 'typed, 300 B, against postMessage',
    unit: 'msg/s',
  } as const;
  const target = { gate: 5, stretch: 8 };
  return [compared(what, all.of('lanes'), all.of('postMessage'), target)];
};

await benchMain(run);
