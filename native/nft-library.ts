/**
 * What `nft` would do, without a process: the program is a thin shell over libnftables, and this is another one. Each call
 * has a context of its own, as each run of the program has. Only the small process of spawner.ts calls it: the library
 * ends its process where it lacks memory or netlink.
 */
import { accessSync, closeSync, constants, openSync } from 'node:fs';
import { join } from 'node:path';
import koffi from 'koffi';
import type { Ran, Run } from './spawner.ts';

const NAMES = ['libnftables.so.1', 'libnftables.so'];
/** Where Debian and others put the programs; what stands elsewhere on the PATH is somebody's own, and is run. */
const SYSTEM_FOLDERS: ReadonlySet<string> = new Set(['/usr/sbin', '/sbin', '/usr/bin', '/bin']);
const NAMESPACES = '/run/netns';
const CLONE_NEWNET = 0x40000000;

/** NFT_CTX_OUTPUT_* of nftables/libnftables.h. */
const NUMERIC = (1 << 7) | (1 << 8) | (1 << 9) | (1 << 10);
const FLAGS: ReadonlyMap<string, number> = new Map([
  ['-j', 1 << 4],
  ['-n', NUMERIC],
  ['-t', 1 << 11],
]);

type Call = {
  /** '' for the own one. */
  readonly netns: string;
  readonly flags: number;
  /** Asks the kernel, changes nothing. */
  readonly dry: boolean;
  readonly text: string;
};

/** undefined where these words are no call of `nft`, or one that is not known here. */
const callOf = (words: readonly string[], input: string): Call | undefined => {
  const inside = words[0] === 'ip' && words[1] === 'netns' && words[2] === 'exec';
  const netns = inside ? (words[3] ?? '') : '';
  const [name, ...rest] = inside ? words.slice(4) : words;
  if (name !== 'nft' || netns.includes('/') || (inside && netns === '')) return undefined;
  let flags = 0;
  let dry = false;
  let at = 0;
  for (; rest[at]?.startsWith('-') === true && rest[at] !== '-f'; at++) {
    const flag = FLAGS.get(rest[at]!);
    if (flag === undefined && rest[at] !== '-c') return undefined;
    dry ||= rest[at] === '-c';
    flags |= flag ?? 0;
  }
  const command = rest.slice(at);
  if (command[0] !== '-f') return { netns, flags, dry, text: command.join(' ') };
  return command.length === 2 && command[1] === '-'
    ? { netns, flags, dry, text: input }
    : undefined;
};

const folderOf = (name: string, path: string): string | undefined =>
  path.split(':').find((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

const isSystems = (name: string, path: string): boolean =>
  SYSTEM_FOLDERS.has(folderOf(name, path) ?? '');

const bindings = () => {
  const library = NAMES.values()
    .map((name) => {
      try {
        return koffi.load(name);
      } catch {
        return undefined; // not here, or not under this name
      }
    })
    .find((one) => one !== undefined);
  if (library === undefined) return undefined;
  return {
    open: library.func('void *nft_ctx_new(uint32_t flags)'),
    free: library.func('void nft_ctx_free(void *ctx)'),
    setFlags: library.func('void nft_ctx_output_set_flags(void *ctx, unsigned int flags)'),
    setDry: library.func('void nft_ctx_set_dry_run(void *ctx, bool dry)'),
    keepOutput: library.func('int nft_ctx_buffer_output(void *ctx)'),
    keepErrors: library.func('int nft_ctx_buffer_error(void *ctx)'),
    output: library.func('const char *nft_ctx_get_output_buffer(void *ctx)'),
    errors: library.func('const char *nft_ctx_get_error_buffer(void *ctx)'),
    run: library.func('int nft_run_cmd_from_buffer(void *ctx, const char *text)'),
    setns: koffi.load(null).func('int setns(int fd, int kind)'),
  };
};
type Bindings = NonNullable<ReturnType<typeof bindings>>;

/** null: it was looked for and is not there. */
let bound: Bindings | null | undefined;
let ownNamespace = -1;

const carryOut = (nft: Bindings, { flags, dry, text }: Call): Ran => {
  const context: unknown = nft.open(0);
  nft.setFlags(context, flags);
  nft.setDry(context, dry);
  nft.keepOutput(context);
  nft.keepErrors(context);
  const status = nft.run(context, text) as number;
  const out = nft.output(context) as string;
  const said = nft.errors(context) as string;
  nft.free(context);
  return { how: 'ended', code: status === 0 ? 0 : 1, signal: null, out, text: said };
};

/** undefined where this is for the program: then its own words say what is wrong. */
const within = (nft: Bindings, call: Call): Ran | undefined => {
  if (call.netns === '') return carryOut(nft, call);
  let file: number;
  try {
    // By its name each time: it may be another one than before.
    file = openSync(join(NAMESPACES, call.netns), 'r');
    if (ownNamespace < 0) ownNamespace = openSync('/proc/self/ns/net', 'r');
  } catch {
    return undefined;
  }
  const entered = nft.setns(file, CLONE_NEWNET) === 0;
  closeSync(file);
  if (!entered) return undefined;
  try {
    return carryOut(nft, call);
  } finally {
    // In a foreign namespace nothing more may be done.
    if (nft.setns(ownNamespace, CLONE_NEWNET) !== 0) process.exit(1);
  }
};

/** Carried out when this returns; undefined: nothing has happened, and the program has to do it. */
export const byLibrary = ({ words, input }: Run, path: string): Ran | undefined => {
  const call = callOf(words, input);
  if (call === undefined || !isSystems('nft', path)) return undefined;
  if (call.netns !== '' && !isSystems('ip', path)) return undefined;
  bound ??= bindings() ?? null;
  return bound === null ? undefined : within(bound, call);
};
