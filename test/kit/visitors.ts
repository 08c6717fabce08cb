/** Keeps an HTTP API busy from a thread of its own, so that the test's thread is free to watch. */
import { isMainThread, Worker, workerData } from 'node:worker_threads';

const PATHS = ['blocks/latest', 'dashboard/overview', 'anomalies', 'validators', 'policies'];
const REQUEST_MS = 2000;
/** Busy, not swamped: what they cost is taken from what is watched. */
const PAUSE_MS = 50;

const visit = async (port: number): Promise<never> => {
  for (;;) {
    // A refused or broken request is what happens to visitors while the API restarts.
    await Promise.allSettled(
      PATHS.map(async (path) => {
        const signal = AbortSignal.timeout(REQUEST_MS);
        const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`, { signal });
        await answer.arrayBuffer();
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
};

/** Returns how to send them home. */
export const sendVisitors = (port: number): (() => Promise<unknown>) => {
  const worker = new Worker(new URL(import.meta.url), { workerData: { port } });
  return () => worker.terminate();
};

if (!isMainThread && typeof workerData?.port === 'number') void visit(workerData.port);
