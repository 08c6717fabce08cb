/** What an actor wants to be told when nobody waits for one of its answers any more. */
import type { ReplyTo } from '../actor.ts';
import type { Message } from './asks.ts';
import type { Ticket } from './own-messages.ts';

type Item = Ticket & {
  readonly to: ReplyTo<unknown>;
  readonly cancelled: Message;
  fired: boolean;
};

export class Cancellations {
  private items: Item[] = [];
  private readonly waits: (to: ReplyTo<unknown>) => boolean;
  private readonly fire: (message: Message, ticket: Ticket) => void;

  constructor(
    waits: (to: ReplyTo<unknown>) => boolean,
    fire: (message: Message, ticket: Ticket) => void,
  ) {
    this.waits = waits;
    this.fire = fire;
  }

  get pending(): number {
    return this.items.length;
  }

  add(to: ReplyTo<unknown>, message: Message): void {
    const item: Item = {
      to,
      cancelled: message,
      withdrawn: false,
      fired: false,
      begun: () => this.drop(item),
    };
    this.items.push(item);
    this.look(item, Number.NEGATIVE_INFINITY);
  }

  /** It has been answered: nothing of it arrives any more. */
  answered(to: ReplyTo<unknown>): void {
    if (this.items.length === 0) return;
    for (const item of this.items) {
      if (item.to.from !== to.from || item.to.ask !== to.ask) continue;
      item.withdrawn = true;
      this.drop(item);
    }
  }

  /** The register has moved, or a deadline may have passed; `nowMs` is monotonic. */
  check(nowMs: number): void {
    for (const item of this.items) if (!item.fired) this.look(item, nowMs);
  }

  /** The earliest deadline of what has not fired, or Infinity. */
  nextDueMs(): number {
    const due = this.items.map(({ to, fired }) =>
      fired ? Number.POSITIVE_INFINITY : (to.dueMs ?? Number.POSITIVE_INFINITY),
    );
    return Math.min(Number.POSITIVE_INFINITY, ...due);
  }

  clear(): void {
    for (const item of this.items) item.withdrawn = true;
    this.items = [];
  }

  private look(item: Item, nowMs: number): void {
    const { dueMs = Number.POSITIVE_INFINITY } = item.to;
    if (dueMs > nowMs && this.waits(item.to)) return;
    item.fired = true;
    this.fire(item.cancelled, item);
  }

  private drop(item: Item): void {
    this.items = this.items.filter((other) => other !== item);
  }
}
