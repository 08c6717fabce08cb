/**
 * A queue in a ring that only grows: an array emptied by `length = 0` gives its storage back
 * and forth.
 */
export class Queue<T> {
  length = 0;
  private items: (T | undefined)[] = new Array<T | undefined>(64).fill(undefined);
  private mask = 63;
  private head = 0;

  push(item: T): void {
    if (this.length > this.mask) this.grow();
    this.items[(this.head + this.length++) & this.mask] = item;
  }

  /** Puts it before all others. */
  unshift(item: T): void {
    if (this.length > this.mask) this.grow();
    this.head = (this.head - 1) & this.mask;
    this.items[this.head] = item;
    this.length++;
  }

  /** The oldest; the queue must not be empty. */
  shift(): T {
    const item = this.items[this.head] as T;
    this.items[this.head] = undefined;
    this.head = (this.head + 1) & this.mask;
    this.length--;
    return item;
  }

  peek(): T | undefined {
    return this.length === 0 ? undefined : this.items[this.head];
  }

  private grow(): void {
    const grown = new Array<T | undefined>(this.items.length * 2).fill(undefined);
    for (let k = 0; k < this.length; k++) grown[k] = this.items[(this.head + k) & this.mask];
    this.items = grown;
    this.mask = grown.length - 1;
    this.head = 0;
  }
}
