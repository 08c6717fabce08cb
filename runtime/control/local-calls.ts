/**
 * Plain calls between processes of one machine over a Unix socket that only its owner can open: comlink, each call with a
 * deadline; a frame is its length (4 bytes, little endian) and a structured clone.
 */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { type Endpoint, expose, type Remote, wrap } from 'comlink';
import { abandon } from '#native/disk.ts';
import { withDeadline } from '../thread/port.ts';

const FRAME_BYTES_MAX = 16 * 1024 * 1024;
const CONNECTIONS_MAX = 16;
const CONNECT_DEADLINE_MS = 2000;

type Listener = (event: { readonly data: unknown }) => void;

/** The object in a frame; undefined when it holds none. */
const deserialized = (body: Uint8Array): object | undefined => {
  try {
    const data: unknown = deserialize(body);
    return typeof data === 'object' && data !== null ? data : undefined;
  } catch {
    return undefined;
  }
};

/** A socket as comlink wants it. A frame above 16 MiB, or one that is none, ends the connection. */
const socketEndpoint = (socket: Socket): Endpoint => {
  const listeners = new Map<unknown, Listener>();
  let waiting = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    waiting = Buffer.concat([waiting, chunk]);
    while (waiting.length >= 4) {
      const size = waiting.readUInt32LE(0);
      if (size > FRAME_BYTES_MAX) {
        socket.destroy();
        return;
      }
      if (waiting.length < 4 + size) return;
      const body = waiting.subarray(4, 4 + size);
      waiting = waiting.subarray(4 + size);
      const data = deserialized(body);
      if (data === undefined) socket.destroy();
      else for (const listener of listeners.values()) listener({ data });
    }
  });
  return {
    postMessage: (message) => {
      const body = serialize(message);
      const head = Buffer.alloc(4);
      head.writeUInt32LE(body.length);
      if (!socket.destroyed) socket.write(Buffer.concat([head, body]));
    },
    addEventListener: (_type, listener) => {
      const call = 'handleEvent' in listener ? listener.handleEvent.bind(listener) : listener;
      listeners.set(listener, call as Listener);
    },
    removeEventListener: (_type, listener) => {
      listeners.delete(listener);
    },
  };
};

export type CallServer = { close(): Promise<void> };

/** Serves an object of async functions. Replaces a socket that nobody listens on; the lock on the folder is the caller's. */
export const serveCalls = async (path: string, calls: object): Promise<CallServer> => {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await rm(path, { force: true });
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
    expose(calls, socketEndpoint(socket));
  });
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((listening, failed) => {
    server.once('error', failed);
    server.listen(path, listening);
  });
  await chmod(path, 0o600);
  return {
    close: async () => {
      const closed = new Promise<void>((done) => server.close(() => done()));
      for (const socket of sockets) socket.destroy();
      await closed;
      abandon(path);
    },
  };
};

export type CallClient<Calls> = {
  readonly remote: Remote<Calls>;
  /** Rejects after `deadlineMs`, or when the connection is gone. */
  readonly within: <T>(work: Promise<T>, deadlineMs: number, what: string) => Promise<T>;
  readonly close: () => void;
};

/** Rejects when nobody serves the path. */
export const connectCalls = async <Calls extends object>(
  path: string,
): Promise<CallClient<Calls>> => {
  const socket = connect(path);
  const connected = new Promise<void>((done, failed) => {
    socket.once('connect', done);
    socket.once('error', failed);
  });
  await withDeadline(connected, CONNECT_DEADLINE_MS, path);
  let drop: (error: Error) => void = () => {};
  const lost = new Promise<never>((_, reject) => {
    drop = reject;
  });
  lost.catch(() => {}); // each call races it
  socket.on('error', drop);
  socket.on('close', () => drop(new Error('the node closed the connection')));
  return {
    remote: wrap<Calls>(socketEndpoint(socket)),
    within: (work, deadlineMs, what) => withDeadline(Promise.race([work, lost]), deadlineMs, what),
    close: () => socket.destroy(),
  };
};
