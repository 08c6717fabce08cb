/** Which packages a thread loads with some modules: on a thread of its own, before anything runs on it. */
import { Worker } from 'node:worker_threads';

const PROGRAM = `
import { registerHooks } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
const urls = [];
registerHooks({
  load: (url, context, next) => {
    urls.push(url);
    return next(url, context);
  },
});
for (const module of workerData) await import(module);
parentPort.postMessage(urls);
`;

const packageOf = (url: string): string | undefined =>
  /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];

/** Names of packages in the order of the alphabet: those among `known`, the dependencies of our own choice. */
export const packagesOf = async (
  modules: readonly URL[],
  known: ReadonlySet<string>,
): Promise<readonly string[]> => {
  const program = new URL(`data:text/javascript,${encodeURIComponent(PROGRAM)}`);
  const worker = new Worker(program, { workerData: modules.map((one) => one.href) });
  try {
    const urls = await new Promise<readonly string[]>((resolve, reject) => {
      worker.once('message', resolve).once('error', reject);
    });
    const found = urls.flatMap((url) => packageOf(url) ?? []);
    return [...new Set(found)].filter((name) => known.has(name)).toSorted();
  } finally {
    await worker.terminate();
  }
};
