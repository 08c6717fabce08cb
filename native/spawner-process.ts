/**
 * The small process that starts programs for a large one: see spawner.ts. It lives as long as its channel, and what it
 * has running dies with it, so nothing is written for somebody who is not there any more.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { byLibrary } from './nft-library.ts';
import type { Ran, RunOrder } from './spawner.ts';

const running = new Set<ChildProcess>();

const started = ({ words, input, path, timeoutMs, outputBytesMax }: RunOrder): Promise<Ran> =>
  new Promise((resolve) => {
    const [name = '', ...args] = words;
    const env = { ...process.env, PATH: path };
    const child = spawn(name, args, { stdio: 'pipe', env });
    running.add(child);
    const out: Buffer[] = [];
    const said: Buffer[] = [];
    let size = 0;
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      child.kill('SIGKILL');
    }, timeoutMs);
    const keep = (list: Buffer[]) => (chunk: Buffer) => {
      size += chunk.length;
      if (size > outputBytesMax) child.kill('SIGKILL');
      else list.push(chunk);
    };
    const end = (ran: Ran): void => {
      clearTimeout(timer);
      running.delete(child);
      resolve(ran);
    };
    child.stdout.on('data', keep(out));
    child.stderr.on('data', keep(said));
    // A child that ends early closes its input; how it ended is what counts.
    child.stdin.on('error', () => {});
    child.on('error', ({ code, message }: NodeJS.ErrnoException) =>
      end({ how: code === 'ENOENT' ? 'missing' : 'failed', text: message }),
    );
    child.on('close', (code, signal) => {
      const text = Buffer.concat(said).toString();
      if (late) end({ how: 'late', text });
      else end({ how: 'ended', code, signal, out: Buffer.concat(out).toString(), text });
    });
    child.stdin.end(input);
  });

// A Ctrl-C or a service manager means the large process, which may need us to come to its end in order.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});
process.on('disconnect', () => {
  for (const child of running) child.kill('SIGKILL');
  process.exit(0);
});
process.on('message', (order: RunOrder) => {
  const done = order.mayCall ? byLibrary(order, order.path) : undefined;
  void (done === undefined ? started(order) : Promise.resolve(done)).then((ran) => {
    if (process.connected) process.send!({ id: order.id, ran });
  });
});
