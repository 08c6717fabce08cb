/** An agent that brings many policies into force and is killed. Arguments: backend, namespace, how many. */
import { bring, KINDS, manyHosts } from './backends.ts';

const [, , name, netns = '', count] = process.argv;
const backend = KINDS.find((one) => one.name === name)!.backend({ name: netns });
await backend.restore([], Date.now());
const BATCH = 256;
const entries = manyHosts(Number(count));
for (let k = 0; k < entries.length; k += BATCH) {
  await bring(backend, ...entries.slice(k, k + BATCH));
}
process.stdout.write('in force\n');
setInterval(() => undefined, 1000);
