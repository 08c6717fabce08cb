/** Actor threads as the main thread sees them: born, asked with deadlines, terminated in custody. */
import { MessageChannel, Worker } from 'node:worker_threads';
import { expose, wrap } from 'comlink';
import { inNative, resetCustody, seize } from '#native/custody.ts';
import { endpoint } from './endpoint.ts';
import { withDeadline } from './port.ts';
import type { MainControl, Remote, ThreadControl, ThreadEvent, ThreadSetup } from './thread.ts';

/** How long a native call may keep a thread that is to be terminated. */
const NATIVE_WAIT_MS = 1000;
const LOAD_DEADLINE_MS = 60_000;

export type ThreadExit = {
  /** What Node said: an error that nobody caught, ERR_WORKER_OUT_OF_MEMORY, or nothing. */
  readonly error: string;
  readonly stack: string;
  /** We terminated it. */
  readonly expected: boolean;
};

export type Thread = {
  readonly index: number;
  readonly control: Remote<ThreadControl>;
  readonly alive: () => boolean;
  /** False when a native call does not let go of the thread: it lives on, and only the process can end it. */
  terminate(expected: boolean): Promise<boolean>;
  native(): boolean;
};

export type ThreadListener = {
  readonly event: (event: ThreadEvent) => void;
  readonly exit: (thread: Thread, exit: ThreadExit) => void;
};

export const spawnThread = (setup: ThreadSetup, main: MainControl, on: ThreadListener): Thread => {
  const control = new MessageChannel();
  const calls = new MessageChannel();
  resetCustody(setup.custody, setup.thread);
  const worker = new Worker(new URL('./worker.ts', import.meta.url), {
    name: setup.places.find((p) => p.thread === setup.thread)?.path ?? 'actors',
    workerData: { setup, control: control.port1, main: calls.port1 },
    transferList: [control.port1, calls.port1],
    ...(setup.memoryMb === undefined
      ? {}
      : { resourceLimits: { maxOldGenerationSizeMb: setup.memoryMb } }),
  });
  expose(main, endpoint(calls.port2));
  const remote = wrap<ThreadControl>(endpoint(control.port2));
  let alive = true;
  let expected = false;
  let failure = { error: '', stack: '' };
  let ended: () => void = () => {};
  const gone = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const thread: Thread = {
    index: setup.thread,
    control: remote,
    alive: () => alive,
    native: () => inNative(setup.custody, setup.thread),
    terminate: async (wanted) => {
      if (!alive) return true;
      expected ||= wanted;
      if (await seize(setup.custody, setup.thread, NATIVE_WAIT_MS)) {
        await worker.terminate();
        await gone;
        return true;
      }
      // Should the call ever come back, the thread ends right after it.
      void seize(setup.custody, setup.thread, Number.POSITIVE_INFINITY).then(() =>
        worker.terminate(),
      );
      return false;
    },
  };
  worker.on('message', on.event);
  worker.on('error', (error: Error & { code?: string }) => {
    failure = { error: `${error.code ?? error.name}: ${error.message}`, stack: error.stack ?? '' };
  });
  worker.on('exit', () => {
    alive = false;
    control.port2.close();
    calls.port2.close();
    ended();
    on.exit(thread, { ...failure, expected });
  });
  return thread;
};

/** Rejects when the thread ends before `work` settles, or does not settle in time. */
export const whileAlive = async <T>(
  thread: Thread,
  work: Promise<T>,
  what: string,
  deadlineMs = LOAD_DEADLINE_MS,
): Promise<T> => {
  let timer: NodeJS.Timeout | undefined;
  const died = new Promise<never>((_, reject) => {
    timer = setInterval(() => {
      if (!thread.alive()) reject(new Error(`${what}: the thread ended`));
    }, 20);
  });
  try {
    return await Promise.race([withDeadline(work, deadlineMs, what), died]);
  } finally {
    clearInterval(timer);
  }
};
