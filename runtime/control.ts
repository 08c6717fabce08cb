/**
 * The control plane of a running node: a Unix socket in its dataDir, readable by its owner only. Plain calls over
 * comlink, each with a deadline; a frame is its length (4 bytes, little endian) and a structured clone.
 */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { type Endpoint, expose, type Remote, wrap } from 'comlink';
import type { SystemView, TreeNode } from './actor.ts';
import type { DeadLetters, Notice } from './events.ts';
import { INSIDE_CALLS, type Inside } from './inside.ts';
import { withDeadline } from './port.ts';
import type { Facts } from './record.ts';

const CALL_DEADLINE_MS = 2000;
const FRAME_BYTES_MAX = 16 * 1024 * 1024;
const CONNECTIONS_MAX = 16;

export const controlPath = (dataDir: string): string => join(dataDir, 'control.sock');

export type NodeStatus = {
  readonly pid: number;
  readonly uptimeS: number;
  readonly state: TreeNode['state'];
  readonly facts: Facts;
  readonly deadLetters: DeadLetters;
};

/** What a running node answers. */
export type ControlCalls = SystemView & Inside & { status(): Promise<NodeStatus> };

/** The part of a system that the socket shows. */
export type Shown = {
  tree(): TreeNode;
  metricsText(): string;
  notices(): readonly Notice[];
  facts(): Facts;
  deadLetters(): DeadLetters;
  readonly inside: Inside;
};

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

export type ControlServer = { close(): Promise<void> };

/** Serves a system. Replaces a socket that nobody listens on; the lock on dataDir is the caller's. */
export const serveControl = async (dataDir: string, system: Shown): Promise<ControlServer> => {
  const path = controlPath(dataDir);
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await rm(path, { force: true });
  const calls: ControlCalls = {
    ...system.inside,
    tree: async () => system.tree(),
    metrics: async () => system.metricsText(),
    notices: async () => system.notices(),
    status: async () => ({
      pid: process.pid,
      uptimeS: process.uptime(),
      state: system.tree().state,
      facts: system.facts(),
      deadLetters: system.deadLetters(),
    }),
  };
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
      await rm(path, { force: true });
    },
  };
};

/** Looking into a node may take longer than asking how it is. */
const INSIDE_DEADLINE_MS = 10_000;
type Deadline = <T>(work: Promise<T>, what: string, deadlineMs?: number) => Promise<T>;

const insideCalls = (remote: Remote<ControlCalls>, call: Deadline): Inside => {
  const calls = INSIDE_CALLS.map((name) => {
    const ask = remote[name] as (...given: unknown[]) => Promise<unknown>;
    return [name, (...given: unknown[]) => call(ask(...given), name, INSIDE_DEADLINE_MS)] as const;
  });
  return Object.fromEntries(calls) as unknown as Inside;
};

export type ControlClient = ControlCalls & { close(): void };

/** Connects to the node that runs on `dataDir`; rejects when there is none. Every call rejects after 2,000 ms, those of the inside after 10,000. */
export const connectControl = async (dataDir: string): Promise<ControlClient> => {
  const socket = connect(controlPath(dataDir));
  const connected = new Promise<void>((done, failed) => {
    socket.once('connect', done);
    socket.once('error', failed);
  });
  await withDeadline(connected, CALL_DEADLINE_MS, 'control socket');
  let drop: (error: Error) => void = () => {};
  const lost = new Promise<never>((_, reject) => {
    drop = reject;
  });
  lost.catch(() => {}); // each call races it
  socket.on('error', drop);
  socket.on('close', () => drop(new Error('the node closed the connection')));
  const remote = wrap<ControlCalls>(socketEndpoint(socket));
  const call: Deadline = (work, what, deadlineMs = CALL_DEADLINE_MS) =>
    withDeadline(Promise.race([work, lost]), deadlineMs, what);
  return {
    tree: () => call(remote.tree(), 'tree'),
    metrics: () => call(remote.metrics(), 'metrics'),
    notices: () => call(remote.notices(), 'notices'),
    status: () => call(remote.status(), 'status'),
    ...insideCalls(remote, call),
    close: () => socket.destroy(),
  };
};
