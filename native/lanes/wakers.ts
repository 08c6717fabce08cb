/**
 * One shared word a thread, 1 = parked. Senders publish, then look here: waking a sleeper costs 10 us,
 * looking at somebody who is awake 30 ns.
 *
 * Word 0 counts the threads that could run: whoever takes a thread out of its parking adds one, so a spinner
 * sees at once that somebody it woke needs the core. Beside its word each thread notes when it last had work:
 * where more threads than cores take turns, spinning only keeps the next one waiting.
 */

/** A word every 128 bytes: two cache lines, for the prefetcher fetches pairs. */
const STRIDE = 32;
const PARKED = 1;
/** From a thread's word to the time of its last work. */
const WORKED = 1;

export type Wakers = {
  runnable(): number;
  /** This thread has work now; `atMs` is Unix time. */
  work(thread: number, atMs: number): void;
  /** How many threads have had work in the last `spanMs`. */
  busy(atMs: number, spanMs: number): number;
  /** This thread starts to count as runnable. */
  join(): void;
  /** Wakes a thread if it is parked. */
  wake(thread: number): void;
  /** Before parking: set the word, look once more for work, then `wait`. */
  arm(thread: number): void;
  disarm(thread: number): void;
  wait(thread: number): ReturnType<typeof Atomics.waitAsync>;
  /** For the supervisor after a death: the dead may have cleared a word and not come to notify it. */
  rouse(thread: number): void;
  /** The thread is dead: it counts no more. */
  bury(thread: number): void;
};

export const wakersBytes = (threads: number): number => (threads + 1) * STRIDE * 4;

export const openWakers = (memory: SharedArrayBuffer): Wakers => {
  const words = new Int32Array(memory);
  const place = (thread: number): number => (thread + 1) * STRIDE;
  const join = (): void => {
    Atomics.add(words, 0, 1);
  };
  const threads = words.length / STRIDE - 1;
  const disarm = (thread: number): void => {
    if (Atomics.exchange(words, place(thread), 0) === PARKED) join();
  };
  return {
    runnable: () => Atomics.load(words, 0),
    work: (thread, atMs) => {
      words[place(thread) + WORKED] = atMs | 0;
    },
    busy: (atMs, spanMs) => {
      const now = atMs | 0;
      let count = 0;
      for (let t = 0; t < threads; t++) {
        if ((now - words[place(t) + WORKED]!) >>> 0 <= spanMs) count++;
      }
      return count;
    },
    join,
    wake: (thread) => {
      const at = place(thread);
      if (Atomics.load(words, at) !== PARKED) return;
      if (Atomics.compareExchange(words, at, PARKED, 0) !== PARKED) return;
      join();
      Atomics.notify(words, at);
    },
    arm: (thread) => {
      Atomics.sub(words, 0, 1);
      Atomics.store(words, place(thread), PARKED);
    },
    disarm,
    wait: (thread) => Atomics.waitAsync(words, place(thread), PARKED),
    rouse: (thread) => {
      disarm(thread);
      Atomics.notify(words, place(thread));
    },
    bury: (thread) => {
      if (Atomics.exchange(words, place(thread), 0) === 0) Atomics.sub(words, 0, 1);
    },
  };
};
