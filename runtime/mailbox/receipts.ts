/**
 * What one actor has received as deliveries: takes each once in each of its lives, in the order of its sender's numbers, and
 * writes down what is confirmed, in shared memory, after the effects of its step are visible.
 */
import type { Delivered } from '../actor.ts';

/** Something that is made visible together with lanes. */
export type Publishable = {
  dirty: boolean;
  /** The thread that is to notice. */
  readonly to: number;
  publish(): void;
};

/** The confirmations for one sender. */
class Receipt implements Publishable {
  dirty = false;
  readonly to: number;
  /** The newest number that was taken in this life. */
  seen: number;
  /** What the sender is told: of steps that came to their end, and whose effects are visible. */
  told: number;
  private readonly word: BigInt64Array;
  confirmed: number;
  /** Taken and not known as confirmed to the sender, in their order. */
  private readonly open: number[] = [];
  private readonly done = new Set<number>();

  constructor(word: BigInt64Array, to: number) {
    this.word = word;
    this.to = to;
    this.confirmed = Number(Atomics.load(word, 0));
    this.seen = this.confirmed;
    this.told = this.confirmed;
  }

  get pending(): number {
    return this.open.length;
  }

  /** False for one that was taken before, and for one that overtook another. */
  take(n: number, gap: number): boolean {
    if (n <= this.seen || (gap !== 0 && n - gap > this.seen)) return false;
    this.seen = n;
    this.open.push(n);
    return true;
  }

  /** True when the sender can be told more than before. */
  confirm(n: number): boolean {
    if (!this.open.includes(n)) return false;
    this.done.add(n);
    let known = 0;
    while (known < this.open.length && this.done.delete(this.open[known]!)) known++;
    if (known === 0) return false;
    this.confirmed = this.open[known - 1]!;
    this.open.splice(0, known);
    return true;
  }

  publish(): void {
    Atomics.store(this.word, 0, BigInt(this.told));
  }
}

export class Receipts {
  private readonly bySender = new Map<number, Receipt>();
  private fresh: Receipt[] = [];

  /** A sender's confirmations are the word that it reads. */
  addSender(sender: number, thread: number, word: BigInt64Array): void {
    this.bySender.set(sender, new Receipt(word, thread));
  }

  /** Taken and not confirmed yet. */
  get pending(): number {
    let n = 0;
    for (const receipt of this.bySender.values()) n += receipt.pending;
    return n;
  }

  take(sender: number, n: number, gap: number): boolean {
    return this.bySender.get(sender)?.take(n, gap) ?? false;
  }

  confirm({ from, n }: Delivered): void {
    const receipt = this.bySender.get(from);
    if (receipt?.confirm(n) && !this.fresh.includes(receipt)) this.fresh.push(receipt);
  }

  /** Something was confirmed in this step. */
  get unpublished(): boolean {
    return this.fresh.length > 0;
  }

  /** What is to be told, and up to which number. */
  takeFresh(): readonly { readonly receipt: Receipt; readonly upTo: number }[] {
    const fresh = this.fresh.map((receipt) => ({ receipt, upTo: receipt.confirmed }));
    this.fresh = [];
    return fresh;
  }
}
