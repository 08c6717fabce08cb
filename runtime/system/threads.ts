/** Actor threads as the main thread sees them: born, asked with deadlines, terminated in custody. */
import { setTimeout as pause } from 'node:timers/promises';
import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads';
import { expose, wrap } from 'comlink';
import { inNative, resetCustody, seize } from '#native/custody.ts';
import { endpoint } from '../control/endpoint.ts';
import { crashReason } from '../thread/host.ts';
import { withDeadline } from '../thread/port.ts';
import type {
  Crash,
  MainControl,
  Remote,
  ThreadControl,
  ThreadEvent,
  ThreadSetup,
} from './thread.ts';
import { busiestStack } from './whereabouts.ts';

/** How long a native call may keep a thread that is to be terminated. */
const NATIVE_WAIT_MS = 1000;
const LOAD_DEADLINE_MS = 60_000;
/** For so long it is looked at where a thread is, some hundred times. */
const PROFILE_MS = 100;
const PROFILE_WAIT_MS = 2000;

/**
 * Why a thread is terminated. asked: nobody lives on it any more; killed: from outside, through no fault of its own; faulty: it
 * has gone too far (silence, memory), which is a crash of what it has in hand.
 */
export type End = 'asked' | 'killed' | 'faulty';

export type ThreadExit = {
  /** What Node said: an error that nobody caught, ERR_WORKER_OUT_OF_MEMORY; or why it was terminated; or ''. */
  readonly error: string;
  readonly stack: string;
  /** own: the thread ended by itself. */
  readonly why: End | 'own';
  readonly reason: Crash['reason'];
};

export type Thread = {
  readonly index: number;
  readonly control: Remote<ThreadControl>;
  readonly alive: () => boolean;
  /** False when a native call does not let go of the thread: it lives on, and only the process can end it. */
  terminate(why: End, text?: string, stack?: string): Promise<boolean>;
  native(): boolean;
  /** Where its code is now, innermost first. Rejects where it cannot be asked: it is in native code, or has ended. */
  whereabouts(): Promise<readonly string[]>;
};

export type ThreadListener = {
  readonly event: (event: ThreadEvent) => void;
  readonly exit: (thread: Thread, exit: ThreadExit) => void;
};

/** A thread that has been started and not yet been told who lives on it. */
export type Blank = {
  readonly worker: Worker;
  readonly control: MessagePort;
  readonly calls: MessagePort;
};

export type Boot = {
  readonly name: string;
  /** Modules to import before anything else; it says 'ready' when it has. */
  readonly preload: readonly string[];
  readonly memoryMb: number | undefined;
  readonly codeCache: string | undefined;
};

/** The variable wins (code-cache.ts). */
const withCache = (folder: string): NodeJS.ProcessEnv => ({
  ...process.env,
  NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE || folder,
});

export const bootThread = ({ name, preload, memoryMb, codeCache }: Boot): Blank => {
  const control = new MessageChannel();
  const calls = new MessageChannel();
  const worker = new Worker(new URL('../thread/worker.ts', import.meta.url), {
    name,
    workerData: { control: control.port1, main: calls.port1, modules: preload },
    transferList: [control.port1, calls.port1],
    ...(memoryMb === undefined ? {} : { resourceLimits: { maxOldGenerationSizeMb: memoryMb } }),
    ...(codeCache === undefined ? {} : { env: withCache(codeCache) }),
  });
  return { worker, control: control.port2, calls: calls.port2 };
};

/** Looks at a thread from outside: also at one that is in a loop, and answers nobody. */
const whereaboutsOf = async (worker: Worker): Promise<readonly string[]> => {
  const profiling = await withDeadline(worker.startCpuProfile(), PROFILE_WAIT_MS, 'profiling');
  await pause(PROFILE_MS);
  return busiestStack(await withDeadline(profiling.stop(), PROFILE_WAIT_MS, 'profiling'));
};

/** Tells a blank thread who it is. */
export const spawnThread = (
  { worker, control, calls }: Blank,
  setup: ThreadSetup,
  main: MainControl,
  on: ThreadListener,
): Thread => {
  resetCustody(setup.custody, setup.thread);
  expose(main, endpoint(calls));
  const remote = wrap<ThreadControl>(endpoint(control));
  let alive = true;
  let why: ThreadExit['why'] = 'own';
  let failure: Omit<ThreadExit, 'why'> = { error: '', stack: '', reason: 'crash' };
  let ended: () => void = () => {};
  const gone = new Promise<void>((resolve) => {
    ended = resolve;
  });
  const thread: Thread = {
    index: setup.thread,
    control: remote,
    alive: () => alive,
    native: () => inNative(setup.custody, setup.thread),
    whereabouts: () => whereaboutsOf(worker),
    terminate: async (wanted, text = '', stack = '') => {
      if (!alive) return true;
      if (why === 'own' || wanted === 'asked') why = wanted;
      if (text !== '') failure = { error: text, stack, reason: 'crash' };
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
    failure = {
      error: `${error.code ?? error.name}: ${error.message}`,
      stack: error.stack ?? '',
      reason: crashReason(error),
    };
  });
  worker.on('exit', () => {
    alive = false;
    control.close();
    calls.close();
    ended();
    on.exit(thread, { ...failure, why });
  });
  worker.postMessage(setup);
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
