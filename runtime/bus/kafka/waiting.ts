/** Waiting with a bound. */
export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** Rejects after `ms` with a sentence about `who`; the work itself goes on. */
export const within = <T>(ms: number, who: string, work: Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${who} does not answer`)), ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
