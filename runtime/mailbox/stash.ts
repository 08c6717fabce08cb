/** What an actor has put aside, bounded by number and by memory. */

import type { Host } from '../thread/host.ts';
import { CAUSE } from '../trace/ring.ts';
import type { Message } from './asks.ts';
import type { Mailbox } from './mailbox.ts';
import type { Own } from './own-messages.ts';

/** Copies of slabs that may be put aside. */
const STASHED_BYTES_MAX = 64 * 1024 * 1024;

const bytesOf = (message: object): number =>
  Object.values(message).reduce<number>(
    (sum, value) => sum + (value instanceof Uint8Array ? value.length : 0),
    0,
  );

export class Stash {
  private items: Own[] = [];
  private bytes = 0;
  private readonly mailbox: Mailbox;
  private readonly host: Host;
  private readonly max: number;

  constructor(mailbox: Mailbox, host: Host, max: number) {
    this.mailbox = mailbox;
    this.host = host;
    this.max = max;
  }

  get pending(): number {
    return this.items.length;
  }

  add(message: Message): void {
    const { mailbox, host } = this;
    const size = bytesOf(message);
    if (this.items.length >= this.max || this.bytes + size > STASHED_BYTES_MAX) {
      host.dead(mailbox, 'stash-full', mailbox.path, message.kind);
      return;
    }
    this.bytes += size;
    const kept = host.pool.detached(message);
    // Its trace goes on from the step that has put it aside.
    const origin = { trace: mailbox.out.trace(), cause: CAUSE.own };
    this.items.push({ message: kept, ...origin, ...mailbox.contextOf(message) });
    mailbox.metrics.gauge('stashed', this.items.length);
  }

  /** Empties it. */
  take(): readonly Own[] {
    const taken = this.items;
    this.items = [];
    this.bytes = 0;
    if (taken.length > 0) this.mailbox.metrics.gauge('stashed', 0);
    return taken;
  }
}
