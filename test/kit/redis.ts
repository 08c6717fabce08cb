/** A real Redis in a temporary folder, on a port of its own: started, killed and started again by a test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from '@redis/client';
import { freePort } from './ports.ts';
import { programOf } from './programs.ts';

/** For the name of a test that needs it. */
export const NEEDS_REDIS = '(needs redis-server)';
export const hasRedis = programOf('redis-server') !== undefined;

export type RedisServer = {
  readonly port: number;
  /** Without the password. */
  readonly url: string;
  readonly password: string;
  /** One command, on a connection of its own. */
  readonly send: (...words: string[]) => Promise<unknown>;
  readonly kill: () => Promise<void>;
  readonly up: () => Promise<void>;
  readonly close: () => Promise<void>;
};

const START_MS = 30_000;

/** `keeps`: what is written survives a kill. `more` are flags of its own; `parent` is where its folder is made. */
export const redisServer = async (
  keeps = true,
  { more = [], parent = tmpdir() }: { more?: readonly string[]; parent?: string } = {},
): Promise<RedisServer> => {
  const folder = mkdtempSync(join(parent, 'cybermesh-redis-'));
  const port = await freePort();
  const password = 'r w#1';
  const flags = [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', ''],
    ...['--requirepass', password, '--appendonly', keeps ? 'yes' : 'no', '--appendfsync', 'always'],
    ...more,
  ];
  let child: ChildProcess | undefined;
  const url = `redis://127.0.0.1:${port}`;
  const send: RedisServer['send'] = async (...words) => {
    const client = createClient({ url, password, socket: { reconnectStrategy: false } });
    client.on('error', () => undefined);
    await client.connect();
    try {
      return await client.sendCommand(words);
    } finally {
      client.destroy();
    }
  };
  const up = async (): Promise<void> => {
    child = spawn(programOf('redis-server')!, flags, { stdio: 'ignore' });
    for (const deadlineMs = performance.now() + START_MS; ; await sleep(50)) {
      const answer = await send('PING').catch(() => undefined);
      if (answer === 'PONG') return;
      if (performance.now() > deadlineMs) throw new Error('redis-server does not start');
    }
  };
  const kill = async (): Promise<void> => {
    const dying = child;
    child = undefined;
    if (dying === undefined) return;
    dying.kill('SIGKILL');
    if (dying.exitCode === null && dying.signalCode === null) {
      await new Promise((resolve) => dying.once('exit', resolve));
    }
  };
  await up();
  return {
    ...{ port, url, password, send, kill, up },
    close: async () => {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
