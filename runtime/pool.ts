/** The one pool of worker threads for CPU-bound batches, started at its first task. */
import { Piscina } from 'piscina';

const THREADS_MAX = 2;
/** Tasks that may wait; more are refused. */
const QUEUE_MAX = 256;

export type Pool = {
  /** Runs the exported function `task` of the module (a file: URL). */
  run(module: string, task: string, argument: unknown): Promise<unknown>;
  close(): Promise<void>;
};

export const openPool = (): Pool => {
  let piscina: Piscina | undefined;
  let closed = false;
  return {
    run: async (module, task, argument) => {
      if (closed) throw new Error('the pool is closed');
      piscina ??= new Piscina({
        minThreads: 0,
        maxThreads: THREADS_MAX,
        maxQueue: QUEUE_MAX,
        idleTimeout: 30_000,
      });
      return piscina.run(argument, { filename: module, name: task });
    },
    close: async () => {
      closed = true;
      await piscina?.destroy();
    },
  };
};
