#!/usr/bin/env node
/**
 * The launcher: `node runtime <command>`. Any Node from 20 on can read it; it goes on in this process when
 * that is new enough to run TypeScript, else in the Node 24 that `npm ci` installed.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [major, minor] = process.versions.node.split('.').map(Number);
const isRecent = major > 24 || (major === 24 && minor >= 12);
const main = new URL(
  existsSync(new URL('./main.ts', import.meta.url)) ? './main.ts' : './main.js',
  import.meta.url,
);
/** In the repository, or hoisted beside the package where it is installed. */
const [pinned] = ['../node_modules/.bin/node', '../../.bin/node']
  .map((file) => fileURLToPath(new URL(file, import.meta.url)))
  .sort((a, b) => existsSync(b) - existsSync(a));

/** Starts the pinned Node and stands for it: its signals, its exit code, its death. */
const delegate = () => {
  // The channel tells the child when we are killed without a chance to forward anything: see main.ts.
  const child = spawn(
    pinned,
    [...process.execArgv, fileURLToPath(main), ...process.argv.slice(2)],
    {
      stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, PINNED_NODE: pinned },
    },
  );
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR2']) {
    process.on(signal, () => child.kill(signal));
  }
  child.on('error', (fault) => {
    console.error(`cannot start ${pinned}: ${fault.message}\nRun "npm ci" first.`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
};

if (isRecent) {
  process.argv[1] = fileURLToPath(main);
  await import(main.href);
} else if (process.env.PINNED_NODE === pinned) {
  console.error(
    `${pinned} is Node ${process.versions.node}; 24.12 or newer is needed. Run "npm ci".`,
  );
  process.exit(1);
} else {
  delegate();
}
