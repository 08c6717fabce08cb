/** Runs CyberMesh as users do, in a process of its own, and never leaves one behind. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the repository. */
export const ROOT = fileURLToPath(new URL('../../', import.meta.url)).replace(/\/$/, '');
/** Node 24 as `npm ci` installs it. */
export const NODE = path.join(ROOT, 'node_modules', '.bin', 'node');
export const LAUNCHER = path.join(ROOT, 'runtime', 'index.js');

export type RunOptions = {
  /** Which Node; default the pinned one. */
  readonly node?: string;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** The process is killed after so long; default 60,000 ms. */
  readonly timeoutMs?: number;
  /** A process group of its own, so that a signal can reach all of it, as Ctrl-C does. */
  readonly group?: boolean;
  /** Keeps standard input open for `type`. */
  readonly input?: boolean;
};

export type Finished = {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type Running = {
  readonly child: ChildProcess;
  /** What it wrote so far, both streams. */
  readonly output: () => string;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly done: Promise<Finished>;
  /** Resolves when `pattern` has appeared in the output; rejects at the end of the process or after `ms`. */
  readonly saw: (pattern: RegExp, ms?: number) => Promise<void>;
  /** To the whole group if it has one, else to the process. */
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Writes to its standard input. */
  readonly type: (text: string) => void;
};

const running = new Set<Running>();
// Whatever a test forgot ends with the tests.
process.on('exit', () => {
  for (const one of running) one.signal('SIGKILL');
});

/** Waits for words in a growing text; `watchers` are called whenever it has grown. */
const seer =
  (output: () => string, hasEnded: () => boolean, watchers: Set<() => void>): Running['saw'] =>
  (pattern, ms = 30_000) =>
    new Promise((resolve, reject) => {
      const finish = (fault?: string): void => {
        clearTimeout(timer);
        watchers.delete(look);
        if (fault === undefined) resolve();
        else reject(new Error(`${fault}:\n${output().slice(-4000)}`));
      };
      const look = (): void => {
        if (pattern.test(output())) finish();
        else if (hasEnded()) finish(`it ended before ${pattern}`);
      };
      const timer = setTimeout(() => finish(`no ${pattern} within ${ms} ms`), ms);
      watchers.add(look);
      look();
    });

/** Starts `command` with `args`. */
export const launch = (
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Running => {
  const detached = options.group ?? true;
  const child = spawn(command, args, {
    cwd: options.cwd ?? ROOT,
    env: options.env ?? process.env,
    stdio: [options.input ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    detached,
  });
  let stdout = '';
  let stderr = '';
  const watchers = new Set<() => void>();
  const heard = (): void => {
    for (const watcher of watchers) watcher();
  };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    heard();
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    heard();
  });
  const signal = (name: NodeJS.Signals): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(detached ? -child.pid : child.pid, name);
    } catch (fault) {
      if ((fault as NodeJS.ErrnoException).code !== 'ESRCH') throw fault;
    }
  };
  const done = new Promise<Finished>((resolve, reject) => {
    const timer = setTimeout(() => signal('SIGKILL'), options.timeoutMs ?? 60_000);
    child.on('error', reject);
    child.on('close', (code, name) => {
      clearTimeout(timer);
      running.delete(one);
      resolve({ code, signal: name, stdout, stderr });
      heard();
    });
  });
  const output = (): string => stdout + stderr;
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const one: Running = {
    child,
    output,
    stdout: () => stdout,
    stderr: () => stderr,
    done,
    saw: seer(output, hasEnded, watchers),
    signal,
    type: (text) => void child.stdin?.write(text),
  };
  running.add(one);
  return one;
};

/** `node runtime <args>` to its end. */
export const cybermesh = (args: readonly string[], options: RunOptions = {}): Promise<Finished> =>
  launchCybermesh(args, options).done;

/** `node runtime <args>`, still running. */
export const launchCybermesh = (args: readonly string[], options: RunOptions = {}): Running =>
  launch(options.node ?? NODE, [LAUNCHER, ...args], options);

/** A fresh folder under the system's temporary one; `remove` deletes it. */
export const temporaryFolder = (
  name = 'cybermesh-',
): { readonly path: string; readonly remove: () => void } => {
  const folder = mkdtempSync(path.join(tmpdir(), name));
  return { path: folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
};
