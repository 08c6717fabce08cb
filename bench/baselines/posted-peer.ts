/** The receiving end of postMessage: reads every message, acknowledges them by the half window, answers calls. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import type { Job, made } from '../fixtures/protocol.ts';

type Told = ReturnType<(typeof made)[Job]>;

const ACKNOWLEDGED = 512;
const { port } = workerData as { readonly port: MessagePort };
let seen = 0;
let open = 0;
let sum = 0;

const take = (message: Told): void => {
  seen++;
  sum += message.kind === 'tick' ? message.seq + message.mean : message.n + message.text.length;
};

port.on('message', (data: Told | Told[] | { readonly call: number }) => {
  if ('call' in data) return port.postMessage({ n: seen + (sum > 0 ? 1 : 0) });
  if (Array.isArray(data)) {
    for (const message of data) take(message);
    open += data.length;
  } else {
    take(data);
    open++;
  }
  if (open < ACKNOWLEDGED) return;
  port.postMessage(open);
  open = 0;
});
parentPort!.postMessage('up');
