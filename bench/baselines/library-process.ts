/**
 * One of npm's actor libraries telling messages of 64 bytes, in a process of its own: `library-process.ts <library>
 * <folder with node_modules> <messages>`. Prints how many a second were read. At most 512 are under way.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import { tick } from '../fixtures/protocol.ts';

type Tick = ReturnType<typeof tick>;
/** Tells one message; asks how many have been read. */
type Told = { readonly tell: (message: Tick) => void; readonly read: () => Promise<number> };

const WINDOW = 512;
const DEADLINE_MS = 20_000;
const [library = '', folder = '', count = ''] = process.argv.slice(2);
const load = createRequire(path.join(folder, 'package.json'));

/** nact has no threads: both ends are on this one. */
const nact = (): Told => {
  type Nact = {
    start(): unknown;
    spawn(
      parent: unknown,
      step: (state: number, message: unknown) => number,
      name: string,
    ): unknown;
    dispatch(actor: unknown, message: unknown): void;
    query(actor: unknown, message: (from: unknown) => unknown, timeoutMs: number): Promise<number>;
  };
  const { start, spawn, dispatch, query } = load('nact') as Nact;
  const step = (seen = 0, message: unknown): number => {
    const { from, seq } = message as { readonly from?: unknown; readonly seq: number };
    if (from === undefined) return seen + (seq > 0 ? 1 : 0);
    dispatch(from, seen);
    return seen;
  };
  const sink = spawn(start(), step, 'sink');
  return {
    tell: (message) => dispatch(sink, message),
    read: () => query(sink, (from) => ({ from }), DEADLINE_MS),
  };
};

/** comedy in its threaded mode. */
const comedy = async (): Promise<Told> => {
  type Actor = {
    send(topic: string, message: unknown): Promise<void>;
    sendAndReceive(topic: string): Promise<number>;
    createChild(behaviour: unknown, options: object): Promise<Actor>;
  };
  type Comedy = (options: object) => { rootActor(): Promise<Actor> };
  const quiet = { silly() {}, debug() {}, info() {}, warn() {}, error: console.error };
  const system = (load('comedy') as Comedy)({ log: quiet });
  // Sent to the thread as source text: it can use nothing from here.
  class Sink {
    count = 0;
    tick(message: { readonly seq: number }): void {
      this.count += message.seq > 0 ? 1 : 0;
    }
    seen(): number {
      return this.count;
    }
  }
  const sink = await (await system.rootActor()).createChild(Sink, { mode: 'threaded' });
  return {
    tell: (message) => void sink.send('tick', message),
    read: () => sink.sendAndReceive('seen'),
  };
};

let all = 0;
const told = library === 'nact' ? nact() : await comedy();
const round = async (messages: number): Promise<void> => {
  for (let sent = 0; sent < messages; ) {
    for (let k = 0; k < WINDOW; k++) told.tell(tick(sent++));
    all += WINDOW;
    // comedy answers a question before the messages that were told ahead of it: ask again.
    const untilMs = performance.now() + DEADLINE_MS;
    let read = await told.read();
    while (read < all && performance.now() < untilMs) read = await told.read();
    if (read !== all) throw new Error(`${library} has read ${read} of ${all} messages`);
  }
};
await round(Number(count) >> 2);
const beganMs = performance.now();
await round(Number(count));
// The last line: comedy's logger writes there, too.
console.log(`\n${Number(count) / ((performance.now() - beganMs) / 1000)}`);
process.exit(0);
