/** The watches of one actor: each fires once, when what was watched has ended. */
import type { Terminated } from '../actor.ts';
import type { Message } from './asks.ts';
import type { Ticket } from './own-messages.ts';

/** What a watch looks at: the register of lives. */
export type Lives = {
  incarnation(actor: number): number;
  gone(actor: number): boolean;
};

type Watch = Ticket & {
  /** One actor, or the members of a pool. */
  readonly targets: readonly number[];
  readonly incarnation: number;
  readonly obituary: Message;
  fired: boolean;
};

export class Watches {
  private items: Watch[] = [];
  private readonly lives: Lives;
  private readonly fire: (message: Message, ticket: Ticket) => void;

  constructor(lives: Lives, fire: (message: Message, ticket: Ticket) => void) {
    this.lives = lives;
    this.fire = fire;
  }

  /** Watches that have not been handled. */
  get pending(): number {
    return this.items.length;
  }

  /** Of several targets it fires when all have ended for good. No target at all has ended already. */
  add(targets: readonly number[], obituary: Message): void {
    const watch: Watch = {
      targets,
      incarnation: targets.length === 1 ? this.lives.incarnation(targets[0]!) : 0,
      obituary,
      withdrawn: false,
      fired: false,
      begun: () => this.drop(watch),
    };
    this.items.push(watch);
    this.look(watch);
  }

  /** Ends the watches on these targets; what has fired and was not handled yet is withdrawn. */
  remove(targets: readonly number[]): void {
    for (const watch of this.items) {
      if (!sameActors(watch.targets, targets)) continue;
      watch.withdrawn = true;
      this.drop(watch);
    }
  }

  /** The register has moved. */
  check(): void {
    for (const watch of this.items) if (!watch.fired) this.look(watch);
  }

  clear(): void {
    for (const watch of this.items) watch.withdrawn = true;
    this.items = [];
  }

  private look(watch: Watch): void {
    const { targets, incarnation } = watch;
    const gone = targets.every((actor) => this.lives.gone(actor));
    const restarted = targets.length === 1 && this.lives.incarnation(targets[0]!) !== incarnation;
    if (!gone && !restarted) return;
    watch.fired = true;
    const terminated: Terminated = { incarnation };
    this.fire({ ...watch.obituary, terminated } as Message, watch);
  }

  private drop(watch: Watch): void {
    this.items = this.items.filter((other) => other !== watch);
  }
}

const sameActors = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((actor, k) => actor === b[k]);
