/** The watches of one actor: each fires once, when the incarnation that was watched has ended. */
import type { Message } from './asks.ts';

type Watch = { readonly target: number; readonly incarnation: number; readonly message: Message };

export class Watches {
  private items: Watch[] = [];

  add(target: number, incarnation: number, message: Message): void {
    this.items.push({ target, incarnation, message });
  }

  /** Ends and returns the watches whose target has changed. */
  take(changed: (target: number, incarnation: number) => boolean): Message[] {
    if (this.items.length === 0) return [];
    const fired = this.items.filter((w) => changed(w.target, w.incarnation));
    if (fired.length > 0) this.items = this.items.filter((w) => !fired.includes(w));
    return fired.map((w) => w.message);
  }

  clear(): void {
    this.items = [];
  }
}
