/** Who waits for room leaves its thread to the others. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '#test/kit/processes.ts';
import { puppet, type Step, staged } from './puppets.ts';

/** Words of a lane, and a text with which a note takes just less than a quarter of it. */
const WORDS = 1024;
const LARGE = 920;

test('a sender whose large message has to begin anew in a lane that is half free waits for its reader, and others of its thread go on', async (context) => {
  const folder = temporaryFolder();
  context.onTestFinished(folder.remove);
  const gate = path.join(folder.path, 'open');
  const stage = await staged(
    context,
    [
      // Two are passed, which frees half of the lane; then nobody reads.
      puppet('reader', {
        on: {
          note: ({ message, block, say }) => {
            say('note', message.n);
            if (message.n === 2) block(`${message.key}`.split(' ')[0]!);
          },
        },
      }),
      puppet('sender', { sends: ['reader'] }),
      puppet('neighbour', { thread: 'sender' }),
    ],
    { lanes: { words: WORDS } },
  );
  const key = `${gate} `.padEnd(LARGE, 'x');
  const send = new Function(
    'h',
    `for (let n = 0; n < 6; n++)
       h.fx.tell(h.to('reader'), { kind: 'note', n, key: ${JSON.stringify(key)} });`,
  ) as Step;
  stage.run('sender', send);
  await stage.wait('note', 3);
  stage.run('neighbour', ({ fx }) => fx.after(100, { kind: 'later' }));
  await stage.wait('later');
  writeFileSync(gate, '');
  await stage.wait('note', 6);
  expect(stage.heard('note').map((one) => one.data)).toEqual([0, 1, 2, 3, 4, 5]);
});
