/**
 * Threads kept ready to take the place of a dead one: started, with the modules of every actor imported, and asleep. They
 * cost memory (README), and no processor time.
 */
import { type Blank, bootThread } from './threads.ts';

/** Quiet time before spares are started: those who restart need the processor first. */
const QUIET_MS = 2000;
/** Spares that ended unasked before there are no more. */
const FAILURES_MAX = 3;

type Spare = {
  readonly blank: Blank;
  /** Looks at it no more. */
  readonly release: () => void;
};

export class Spares {
  private readonly count: number;
  private readonly boot: () => Blank;
  private readonly broken: (error: Error) => void;
  private readonly starting = new Set<Spare>();
  private readonly ready: Spare[] = [];
  private failures = 0;
  private timer: NodeJS.Timeout | undefined;
  private closed = false;

  /** `broken` is told when spares keep ending by themselves: there are none from then on. */
  constructor(count: number, boot: () => Blank, broken: (error: Error) => void) {
    this.count = count;
    this.boot = boot;
    this.broken = broken;
  }

  /** Starts what is missing, when nobody has asked for it for a while. */
  fill(): void {
    clearTimeout(this.timer);
    if (this.count === 0) return;
    this.timer = setTimeout(() => {
      while (!this.closed && this.starting.size + this.ready.length < this.count) this.add();
    }, QUIET_MS).unref();
  }

  readyCount(): number {
    return this.ready.length;
  }

  /** One that is ready, if there is one. `fill` replaces it. */
  take(): Blank | undefined {
    const spare = this.ready.shift();
    spare?.release();
    return spare?.blank;
  }

  async close(): Promise<void> {
    this.closed = true;
    clearTimeout(this.timer);
    const all = [...this.starting, ...this.ready.splice(0)];
    this.starting.clear();
    await Promise.all(
      all.map(({ blank, release }) => {
        release();
        return blank.worker.terminate();
      }),
    );
  }

  private add(): void {
    const blank = this.boot();
    const { worker } = blank;
    let error = new Error('it ended');
    const isReady = (): void => {
      this.starting.delete(spare);
      this.ready.push(spare);
    };
    const hasThrown = (thrown: Error): void => {
      error = thrown;
    };
    const hasEnded = (): void => {
      this.starting.delete(spare);
      const at = this.ready.indexOf(spare);
      if (at >= 0) this.ready.splice(at, 1);
      if (++this.failures < FAILURES_MAX) return this.fill();
      this.closed = true;
      this.broken(error);
    };
    const release = (): void => {
      // One by one: a Worker has listeners of its own.
      worker.off('message', isReady);
      worker.off('error', hasThrown);
      worker.off('exit', hasEnded);
    };
    const spare: Spare = { blank, release };
    this.starting.add(spare);
    worker.once('message', isReady);
    worker.on('error', hasThrown);
    worker.on('exit', hasEnded);
  }
}

export const openSpares = (
  count: number,
  like: { readonly preload: readonly string[]; readonly memoryMb: number | undefined },
  codeCache: string | undefined,
  broken: (error: Error) => void,
): Spares => new Spares(count, () => bootThread({ ...like, name: 'spare', codeCache }), broken);
