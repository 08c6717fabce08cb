/**
 * Entry of an actor thread: imports what it is told to, waits until it is told who lives on it, and binds the residence to
 * the ports that the main thread gave.
 */
import { flushCompileCache } from 'node:module';
import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { expose, wrap } from 'comlink';
import { endpoint } from '../control/endpoint.ts';
import type { MainControl, ThreadSetup } from '../system/thread.ts';
import { preload } from './loading.ts';
import { Residence } from './residence.ts';

type Data = {
  /** Calls from the main thread, and calls to it. A listening port keeps this thread alive: a parked shell does not. */
  readonly control: MessagePort;
  readonly main: MessagePort;
  /** Modules of a spare, which does not know yet whom it will house. */
  readonly modules: readonly string[];
};
const { control, main, modules } = workerData as Data;

// One after the other, as a residence does (residence.ts).
for (const url of modules) await preload(url);
if (modules.length > 0) {
  flushCompileCache();
  parentPort!.postMessage('ready');
}

parentPort!.once('message', (setup: ThreadSetup) => {
  const thread = new Residence(setup, {
    main: wrap<MainControl>(endpoint(main)),
    post: (event) => parentPort!.postMessage(event),
    exit: () => process.exit(1),
  });
  expose(thread, endpoint(control));
});
