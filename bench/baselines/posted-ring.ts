/** Stations of a ring on one worker; the first station of the first worker starts the tokens and measures. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';

type Token = { readonly kind: 'token'; readonly left: number };
const { stations, leads, tokens, hops } = workerData as {
  readonly stations: readonly { readonly receives: MessagePort; readonly sends: MessagePort }[];
  readonly leads: boolean;
  readonly tokens: number;
  readonly hops: { readonly warm: number; readonly timed: number };
};

const START_MS = 300;

stations.forEach(({ receives, sends }, place) => {
  let ended = 0;
  let beganMs = 0;
  const all = (left: number): void => {
    ended = 0;
    for (let k = 0; k < tokens; k++) sends.postMessage({ kind: 'token', left });
  };
  receives.on('message', ({ left }: Token) => {
    if (left > 0) return sends.postMessage({ kind: 'token', left: left - 1 });
    if (++ended < tokens) return;
    if (beganMs === 0) {
      beganMs = performance.now();
      return all(hops.timed - 1);
    }
    const seconds = (performance.now() - beganMs) / 1000;
    parentPort!.postMessage({ rate: (tokens * hops.timed) / seconds });
  });
  // When every worker is up.
  if (leads && place === 0) setTimeout(() => all(hops.warm - 1), START_MS);
});
