/** The HTTP side of the API over a fake kernel: every request is answered by `respond`. */
import { connect } from 'node:net';
import { config } from '#actors/api/config.ts';
import type { Answer, Commands, Self } from '#actors/api/core.ts';
import { io } from '#actors/api/io.ts';
import { problem } from '#actors/api/problem.ts';
import type { Request } from '#actors/api/request.ts';
import type { IoAdapter, IoPort, SystemView, TreeNode } from '#runtime/actor.ts';

export type Line = { readonly level: string; readonly text: string; readonly fields: object };

const tree: TreeNode = {
  ...{ name: 'root', path: '', kind: 'supervisor', state: 'running', restarts: 0 },
  children: [{ name: 'x', path: 'x', kind: 'actor', state: 'running', restarts: 2 }],
};
const metrics = [
  '# TYPE cybermesh_features_stage_flows_total counter',
  'cybermesh_features_stage_flows_total{actor="detection.features"} 12',
  'cybermesh_executor_stage_committed_total{actor="v1.executor"} 3',
  'cybermesh_executor_stage_committed_total{actor="v2.executor"} 4',
  'cybermesh_persistence_height{actor="persistence"} 7',
  'cybermesh_persistence_lag{actor="persistence"} 1',
  'cybermesh_persistence_connected{actor="persistence"} 1',
  '',
].join('\n');
const calm: SystemView = {
  tree: async () => tree,
  metrics: async () => metrics,
  notices: async () => [],
};

export type Given = {
  /** undefined: no answer until `answer` is called. */
  readonly respond?: (request: Request) => Answer | undefined;
  readonly system?: Partial<SystemView>;
  readonly settings?: object;
  /** Whether the mailbox takes a message. */
  readonly takes?: (message: Self) => boolean;
};

export const openHttp = async (given: Given = {}) => {
  const log: Line[] = [];
  const requests: { readonly id: number; readonly request: Request }[] = [];
  const waiters: { readonly count: number; readonly done: () => void }[] = [];
  const respond =
    given.respond ?? (() => ({ kind: 'problem', problem: problem('not-found', 'x') }) as const);
  let base = '';
  let adapter: IoAdapter<Commands> | undefined;
  const deliver = (message: Self): boolean => {
    if (!(given.takes?.(message) ?? true)) return false;
    if (message.kind === 'listening') base = message.url;
    if (message.kind !== 'request') return true;
    requests.push(message);
    for (const one of waiters) if (requests.length >= one.count) one.done();
    const answer = respond(message.request);
    // As in production, the answer comes after `deliver` has returned.
    if (answer !== undefined) setImmediate(() => reply(message.id, answer));
    return true;
  };
  const reply = (id: number, answer: Answer): void =>
    void adapter?.commands.respond({ id, answer });
  const port: IoPort<Self> = {
    traceparent: () => '',
    deliver,
    path: 'api',
    incarnation: 0,
    dataDir: '',
    node: { name: 'test', dataDir: '', genesis: { file: '', sha256: '' }, database: { url: '' } },
    now: () => 0,
    log: (level, text, fields = {}) => log.push({ level, text, fields }),
    emit: () => {},
    gauge: () => {},
    native: (call) => call(),
    system: { ...calm, ...given.system },
    pool: () => Promise.reject(new Error('not in this test')),
  };
  adapter = await io(config.parse({ port: 0, ...given.settings }), port);
  const { hostname, port: portNumber } = new URL(base);
  return {
    base,
    port: Number(portNumber),
    log,
    requests,
    answer: reply,
    /** Resolves when so many requests have reached the core. */
    arrived: (count: number): Promise<void> =>
      requests.length >= count
        ? Promise.resolve()
        : new Promise((done) => waiters.push({ count, done })),
    get: (path: string, init: RequestInit = {}) => fetch(base + path, init),
    /** Writes these bytes to a connection and gives all that comes back until it is closed. */
    raw: (bytes: string, half = true): Promise<string> =>
      new Promise((resolve, reject) => {
        const socket = connect(Number(portNumber), hostname);
        let got = '';
        socket.on('data', (chunk) => {
          got += String(chunk);
        });
        socket.on('error', reject);
        socket.on('close', () => resolve(got));
        if (half) socket.end(bytes);
        else socket.write(bytes);
      }),
    close: async () => adapter?.close?.(),
  };
};

export type HttpHost = Awaited<ReturnType<typeof openHttp>>;
