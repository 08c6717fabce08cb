/** Runs a firewall's program with a script on its standard input, and says why it failed by name. */
import { type Ran, runProgram } from '#native/spawner.ts';
import { err, ok, type Result, unreachable } from '#proto/result.ts';
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
  return async (args, input = '') => {
    const ran = await runProgram({
      ...{ words: [...words, ...args], input },
      ...{ timeoutMs, outputBytesMax: OUTPUT_BYTES_MAX },
    });
    const { how, text } = ran;
    switch (how) {
      case 'missing':
        return err(missing(options));
      case 'failed':
        return err({ code: 'rejected', reason: `${name}: ${text}`, text });
      case 'late': {
        const reason = `${name} took longer than ${timeoutMs} ms`;
        return err({ code: 'timed-out', reason, text });
      }
      case 'ended':
        return resultOf(options, ran);
      default:
        return unreachable(how);
    }
  };
};

const resultOf = (options: ProgramOptions, ran: Extract<Ran, { how: 'ended' }>) => {
  const { name, netns } = options;
  const { code, signal, out, text } = ran;
  if (code === 0) return ok(out);
  if (netns !== '' && /exec of .* failed: No such file/.test(text)) return err(missing(options));
  return err(faultOf(name, text === '' ? `it ended with ${signal ?? code}` : text));
};
