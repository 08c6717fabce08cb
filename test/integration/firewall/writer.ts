/** An agent that is to be killed: writes and removes policies without end. Arguments: backend, namespace. */
import { entryOf, KINDS, writeOnAndOn } from './backends.ts';

const [, , name, netns = ''] = process.argv;
const kind = KINDS.find((one) => one.name === name)!;
const backend = kind.backend({ name: netns });
const batchOf = (batch: number) =>
  Array.from({ length: 400 }, (_, k) =>
    entryOf({
      target:
        k % 4 === 0
          ? { cidrs: [`10.${batch % 200}.${k >> 1}.0/${20 + (k % 10)}`] }
          : { ips: [`172.16.${batch % 200}.${k % 250}`], direction: 'ingress' },
    }),
  );
await backend.restore([], Date.now());
process.stdout.write('writing\n');
await writeOnAndOn(backend, batchOf);
