/** What Comlink and Piscina call on the other thread. */
import { type MessagePort, workerData } from 'node:worker_threads';
import { expose } from 'comlink';
import { endpoint } from '#runtime/control/endpoint.ts';
import type { tick } from '../fixtures/protocol.ts';

let seen = 0;
export const take = (message: ReturnType<typeof tick>): number => {
  seen += message.seq > 0 ? 1 : 0;
  return seen;
};

const served = { take };
export type Served = typeof served;

// Comlink has a port of its own; Piscina calls the export.
const { comlink } = (workerData ?? {}) as { readonly comlink?: MessagePort };
if (comlink !== undefined) expose(served, endpoint(comlink));
