/**
 * The processes of a cluster: started, shown, started again when they end, stopped in order. Each is a child that
 * dies with this process, in a process group of its own: Ctrl-C reaches it through us, so the order holds.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { SOURCE_ENDED } from '#runtime/cli/session.ts';
import type { Member } from './plan.ts';

/** The root of this package. */
const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const AGAIN_FIRST_MS = 1000;
const AGAIN_LAST_MS = 10_000;
/** A process that lasted so long begins anew with the shortest pause. */
const STEADY_MS = 60_000;
const STOP_MS = 30_000;

export type Say = (name: string, text: string) => void;

export type Processes = {
  /** Resolves with a sentence when one cannot be started at all. */
  readonly failed: Promise<string>;
  /** The detector first, then all others at once; SIGKILL after 30 s. */
  readonly stop: () => Promise<void>;
  readonly kill: () => void;
};

/** A log line of a node as a person reads it; anything else as it is. */
export const readable = (line: string): string => {
  try {
    const {
      level,
      actor,
      msg,
      time: _,
      node: __,
      ...fields
    } = JSON.parse(line) as {
      readonly [key: string]: unknown;
    };
    const more = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(fields)}`;
    return `${level} ${actor}: ${msg}${more}`;
  } catch {
    return line;
  }
};

const follow = (stream: Readable | null, hear: (line: string) => void): void => {
  if (stream === null) return;
  createInterface({ input: stream }).on('line', (line) => hear(readable(line)));
};

const startOne = ({ topology, args }: Member, hear: (line: string) => void): ChildProcess => {
  const file = path.join(ROOT, 'config', `${topology}.yaml`);
  const child = spawn(
    process.execPath,
    [path.join(ROOT, 'runtime', 'index.js'), 'start', file, ...args],
    {
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
      // As the launcher does: with the channel the child notices our death (runtime/main.ts).
      env: { ...process.env, PINNED_NODE: process.execPath },
    },
  );
  follow(child.stdout, hear);
  follow(child.stderr, hear);
  return child;
};

const hasEnded = ({ exitCode, signalCode }: ChildProcess): boolean =>
  exitCode !== null || signalCode !== null;

const ended = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (hasEnded(child)) resolve();
    else child.once('exit', () => resolve());
  });

const end = async (child: ChildProcess): Promise<void> => {
  if (hasEnded(child)) return;
  child.kill('SIGTERM');
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await ended(child);
  clearTimeout(timer);
};

/** `isReady` is asked when a process ends: one that never was ready will not be next time. */
export const startProcesses = (
  members: readonly Member[],
  say: Say,
  isReady: (name: string) => boolean,
): Processes => {
  let isStopping = false;
  const wake = new AbortController();
  const running = new Map<string, ChildProcess>();
  let fail: (reason: string) => void = () => undefined;
  const failed = new Promise<string>((resolve) => {
    fail = resolve;
  });

  /** Keeps one process alive until the stop. */
  const keep = async (member: Member): Promise<void> => {
    const { name } = member;
    let pauseMs = AGAIN_FIRST_MS;
    while (!isStopping) {
      const startedMs = performance.now();
      let isFinished = false;
      const child = startOne(member, (line) => {
        isFinished ||= line.includes(SOURCE_ENDED);
        say(name, line);
      });
      running.set(name, child);
      await ended(child);
      if (isStopping) return;
      if (isFinished && child.exitCode === 0) return say(name, 'has ended with its source');
      const how = child.signalCode ?? `code ${child.exitCode}`;
      if (!isReady(name)) return fail(`${name} ended with ${how} before it was ready`);
      if (performance.now() - startedMs > STEADY_MS) pauseMs = AGAIN_FIRST_MS;
      say(name, `ended with ${how}; it is started again in ${pauseMs / 1000} s`);
      await sleep(pauseMs, undefined, { signal: wake.signal }).catch(() => undefined);
      pauseMs = Math.min(2 * pauseMs, AGAIN_LAST_MS);
    }
  };
  for (const member of members) void keep(member);

  const children = (wanted: (name: string) => boolean): ChildProcess[] =>
    [...running].filter(([name]) => wanted(name)).map(([, child]) => child);
  return {
    failed,
    stop: async () => {
      isStopping = true;
      wake.abort();
      await Promise.all(children((name) => name === 'detector').map(end));
      await Promise.all(children(() => true).map(end));
    },
    kill: () => {
      isStopping = true;
      for (const child of children(() => true)) child.kill('SIGKILL');
    },
  };
};
