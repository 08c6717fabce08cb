/**
 * Custody of native calls. Terminating a thread inside native code kills the process, so a thread says when it is there:
 * one shared word a thread goes idle -> native by compare-and-swap and back, and the supervisor terminates only after
 * idle -> killed. A second word asks the thread to begin no further native call.
 */
const STRIDE = 32;
const IDLE = 0;
const NATIVE = 1;
const KILLED = 2;

export const custodyBytes = (threads: number): number => threads * STRIDE * 4;

export type Custody = {
  /** Runs `call` in custody; never returns once the thread is to be terminated. */
  native<T>(call: () => Promise<T>): Promise<T>;
};

/** The thread's own side. Several calls may be open at once. */
export const openCustody = (memory: SharedArrayBuffer, thread: number): Custody => {
  const words = new Int32Array(memory, thread * STRIDE * 4, 2);
  let open = 0;
  const enter = (): boolean => {
    if (Atomics.load(words, 1) !== 0) return false;
    if (open === 0 && Atomics.compareExchange(words, 0, IDLE, NATIVE) !== IDLE) return false;
    open++;
    return true;
  };
  const leave = (): void => {
    if (--open > 0) return;
    Atomics.compareExchange(words, 0, NATIVE, IDLE);
    Atomics.notify(words, 0);
  };
  return {
    native: async (call) => {
      if (!enter()) return new Promise(() => {}); // the termination is under way
      try {
        return await call();
      } finally {
        leave();
      }
    },
  };
};

/**
 * The supervisor's side: true when the thread may be terminated now, false when a native call has not come back
 * within `waitMs`.
 */
export const seize = async (
  memory: SharedArrayBuffer,
  thread: number,
  waitMs: number,
): Promise<boolean> => {
  const words = new Int32Array(memory, thread * STRIDE * 4, 2);
  Atomics.store(words, 1, 1);
  const untilMs = performance.now() + waitMs;
  for (;;) {
    if (Atomics.compareExchange(words, 0, IDLE, KILLED) !== NATIVE) return true;
    const leftMs = untilMs - performance.now();
    if (leftMs <= 0) return false;
    const wait = Atomics.waitAsync(words, 0, NATIVE, Math.min(leftMs, 50));
    if (wait.async) await wait.value;
  }
};

export const inNative = (memory: SharedArrayBuffer, thread: number): boolean =>
  Atomics.load(new Int32Array(memory, thread * STRIDE * 4, 1), 0) === NATIVE;

/** Before the next incarnation of the thread starts. */
export const resetCustody = (memory: SharedArrayBuffer, thread: number): void => {
  const words = new Int32Array(memory, thread * STRIDE * 4, 2);
  Atomics.store(words, 1, 0);
  Atomics.store(words, 0, IDLE);
};
