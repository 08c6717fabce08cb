/** A port of worker_threads as comlink wants it. */
import type { MessagePort } from 'node:worker_threads';
import type { Endpoint } from 'comlink';

type Listener = (event: { readonly data: unknown }) => void;

export const endpoint = (port: MessagePort): Endpoint => {
  const listeners = new Map<unknown, (data: unknown) => void>();
  return {
    postMessage: (message, transfer) => port.postMessage(message, (transfer ?? []) as never),
    addEventListener: (_type, listener) => {
      const call = 'handleEvent' in listener ? listener.handleEvent.bind(listener) : listener;
      const relay = (data: unknown): void => (call as Listener)({ data });
      listeners.set(listener, relay);
      port.on('message', relay);
    },
    removeEventListener: (_type, listener) => {
      const relay = listeners.get(listener);
      if (relay === undefined) return;
      listeners.delete(listener);
      port.off('message', relay);
    },
    start: () => port.start(),
  };
};
