/** Runs a firewall's program with a script on its standard input, and says why it failed by name. */
import { spawn } from 'node:child_process';
import { err, ok, type Result } from '#proto/result.ts';
import type { Fault, FaultCode } from '../backend.ts';

export type Program = (
  args: readonly string[],
  input?: string,
) => Promise<Result<string, Fault & { readonly text: string }>>;

export type ProgramOptions = {
  /** As `nft`. */
  readonly name: string;
  /** Debian package that brings it. */
  readonly packageName: string;
  /** Name of a network namespace (`ip netns`), '' for that of this process. */
  readonly netns: string;
  readonly timeoutMs: number;
};

/** What the programs write, by what it means; the first that matches counts. */
const MEANINGS: readonly (readonly [RegExp, FaultCode])[] = [
  [/operation not permitted|must be root|permission denied/i, 'no-capability'],
  [
    /protocol not supported|not supported|can't initialize|missing kernel module/i,
    'no-kernel-support',
  ],
  [
    /cannot open session to kernel|no such (?:target|match)|couldn't load match/i,
    'no-kernel-support',
  ],
];
const OUTPUT_BYTES_MAX = 256 * 1024 * 1024;
const REASON_CHARS_MAX = 200;

const ADVICE: { readonly [code in FaultCode]?: string } = {
  'no-capability':
    'give the process CAP_NET_ADMIN (root, or AmbientCapabilities=CAP_NET_ADMIN in its unit)',
  'no-kernel-support': 'load the kernel module, or choose another backend',
};

const faultOf = (name: string, text: string): Fault & { readonly text: string } => {
  const code = MEANINGS.find(([pattern]) => pattern.test(text))?.[1] ?? 'rejected';
  const advice = ADVICE[code];
  const line = (text.split('\n').find((one) => one.trim() !== '') ?? 'it failed').trim();
  const said = `${name}: ${line.slice(0, REASON_CHARS_MAX)}`;
  return { code, reason: advice === undefined ? said : `${said}; ${advice}`, text };
};

const missing = ({ name, packageName }: ProgramOptions): Fault & { readonly text: string } => ({
  code: 'missing-program',
  reason: `${name} is not on the PATH: install it (apt-get install ${packageName}), or set backend: noop`,
  text: '',
});

export const program = (options: ProgramOptions): Program => {
  const { name, netns, timeoutMs } = options;
  const words = netns === '' ? [name] : ['ip', 'netns', 'exec', netns, name];
  return (args, input = '') =>
    new Promise((resolve) => {
      const child = spawn(words[0]!, [...words.slice(1), ...args], { stdio: 'pipe' });
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
        if (size > OUTPUT_BYTES_MAX) child.kill('SIGKILL');
        else list.push(chunk);
      };
      child.stdout.on('data', keep(out));
      child.stderr.on('data', keep(said));
      // A child that ends early closes its input; how it ended is what counts.
      child.stdin.on('error', () => {});
      child.on('error', (fault: NodeJS.ErrnoException) => {
        clearTimeout(timer);
        const text = `${name}: ${fault.message}`;
        const isMissing = fault.code === 'ENOENT';
        resolve(err(isMissing ? missing(options) : { code: 'rejected', reason: text, text }));
      });
      child.on('close', (code, signal) => {
        clearTimeout(timer);
        const text = Buffer.concat(said).toString();
        if (late) {
          const reason = `${name} took longer than ${timeoutMs} ms`;
          resolve(err({ code: 'timed-out', reason, text }));
        } else if (code === 0) {
          resolve(ok(Buffer.concat(out).toString()));
        } else if (netns !== '' && /exec of .* failed: No such file/.test(text)) {
          resolve(err(missing(options)));
        } else {
          resolve(err(faultOf(name, text === '' ? `it ended with ${signal ?? code}` : text)));
        }
      });
      child.stdin.end(input);
    });
};
