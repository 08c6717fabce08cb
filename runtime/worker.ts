/** Entry of an actor thread: binds the residence to the ports that the main thread gave. */
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { expose, wrap } from 'comlink';
import { endpoint } from './endpoint.ts';
import { Residence } from './residence.ts';
import type { MainControl, ThreadSetup } from './thread.ts';

type Data = {
  readonly setup: ThreadSetup;
  /** Calls from the main thread, and calls to it. A listening port keeps this thread alive: a parked shell does not. */
  readonly control: MessagePort;
  readonly main: MessagePort;
};
const { setup, control, main } = workerData as Data;

const thread = new Residence(setup, {
  main: wrap<MainControl>(endpoint(main)),
  post: (event) => parentPort!.postMessage(event),
  exit: () => process.exit(1),
});
expose(thread, endpoint(control));
