/** Ctrl-C: the first drains, the second forces. */

/** Ctrl-C reaches the launcher and its child, which gets it twice: what follows so soon is the same one. */
export const SAME_PRESS_MS = 500;

export type StopWish = 'drain' | 'force' | 'same';

/** Counts presses; `atMs` is any clock in milliseconds. */
export const pressCounter = (): ((atMs: number) => StopWish) => {
  let presses = 0;
  let last = Number.NEGATIVE_INFINITY;
  return (atMs) => {
    const same = atMs - last < SAME_PRESS_MS;
    if (same) return 'same';
    last = atMs;
    presses++;
    return presses === 1 ? 'drain' : 'force';
  };
};

export type StopHandlers = { readonly drain: (signal: string) => void; readonly force: () => void };

/** Listens for SIGINT, SIGTERM and SIGHUP; returns how to stop listening. */
export const onStopSignals = (handlers: StopHandlers): (() => void) => {
  const press = pressCounter();
  const listen = (signal: string): void => {
    const wish = press(performance.now());
    if (wish === 'drain') handlers.drain(signal);
    if (wish === 'force') handlers.force();
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, listen);
  return () => {
    for (const signal of signals) process.off(signal, listen);
  };
};
