/**
 * Programs, started by a small process of ours, or what they would do, done by it (nft-library.ts). To start one itself,
 * a process of some hundred MiB copies the table of its pages: 20 to 60 ms in which the calling thread stands and every
 * other thread of it stumbles (bench/RESULTS.md, "Enforcement"). The small one needs 2 ms. It is started at the first
 * call of a thread, kept for the next ones, started anew when it has died, and never holds up the end of the process.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('./spawner-process.ts', import.meta.url));
/** Beyond the program's own time: then it is the small process that hangs. */
const ANSWER_MARGIN_MS = 5000;
/** Calls under way at once; one more is a bug of the caller. */
const OPEN_MAX = 64;

export type Run = {
  /** Program and arguments; looked for on the PATH as it is now. */
  readonly words: readonly string[];
  /** For its standard input. */
  readonly input: string;
  /** Beyond it the program is killed. */
  readonly timeoutMs: number;
  /** Of both outputs together; beyond it the program is killed. */
  readonly outputBytesMax: number;
};

/** What the small process hears. */
export type RunOrder = Run & {
  readonly id: number;
  readonly path: string;
  /** Instead of a program it may call the library that the program calls. */
  readonly mayCall: boolean;
};

/** `text`: the program's standard error, or why there is none. */
export type Ran =
  | {
      readonly how: 'ended';
      readonly code: number | null;
      readonly signal: string | null;
      readonly out: string;
      readonly text: string;
    }
  | { readonly how: 'missing' | 'failed' | 'late'; readonly text: string };

type Waiting = { readonly resolve: (ran: Ran) => void; readonly timer: NodeJS.Timeout };
type Hand = { readonly child: ChildProcess; readonly open: Map<number, Waiting> };

let hand: Hand | undefined;
let orders = 0;
/** Until the small process has ended with something in hand: it may have been a library that took it down. */
let mayCall = true;

/** Only while somebody waits does the small process keep this one alive. */
const hold = ({ child, open }: Hand): void => {
  if (open.size > 0) {
    child.ref();
    child.channel?.ref();
  } else {
    child.unref();
    child.channel?.unref();
  }
};

const answer = (to: Hand, id: number, ran: Ran): void => {
  const waiting = to.open.get(id);
  if (waiting === undefined) return;
  to.open.delete(id);
  clearTimeout(waiting.timer);
  hold(to);
  waiting.resolve(ran);
};

/** Everything that was asked of it has no answer any more. */
const lose = (lost: Hand, text: string): void => {
  if (hand === lost) hand = undefined;
  for (const id of [...lost.open.keys()]) answer(lost, id, { how: 'failed', text });
};

const begin = (): Hand => {
  const child = fork(MAIN, [], {
    serialization: 'advanced',
    // Not those of this process: it may be profiled or debugged.
    execArgv: ['--no-warnings', '--max-semi-space-size=1'],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const begun: Hand = { child, open: new Map() };
  child.on('message', (message) => {
    const { id, ran } = message as { readonly id: number; readonly ran: Ran };
    answer(begun, id, ran);
  });
  child.on('error', (fault) => lose(begun, `no process can be started: ${fault.message}`));
  child.on('exit', (code, signal) => {
    if (begun.open.size > 0) mayCall = false;
    lose(begun, `the process that starts programs ended with ${signal ?? code}`);
  });
  return begun;
};

/** How it went is the answer; it rejects only when too many calls are open. */
export const runProgram = (run: Run): Promise<Ran> =>
  new Promise((resolve) => {
    hand ??= begin();
    const now = hand;
    if (now.open.size >= OPEN_MAX) throw new Error(`more than ${OPEN_MAX} programs at once`);
    const id = ++orders;
    const timer = setTimeout(() => {
      // It is the small process that hangs, in a library: the next call starts another one, which calls none.
      mayCall = false;
      now.child.kill('SIGKILL');
      answer(now, id, { how: 'late', text: '' });
    }, run.timeoutMs + ANSWER_MARGIN_MS);
    now.open.set(id, { resolve, timer });
    hold(now);
    const order: RunOrder = { ...run, id, path: process.env.PATH ?? '', mayCall };
    now.child.send(order, (fault) => {
      if (fault !== null) lose(now, `the process that starts programs is gone: ${fault.message}`);
    });
  });
