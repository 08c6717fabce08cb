/**
 * Slabs come free although their receiver waits: what stands in its lanes moves to memory of its own, bounded by number
 * and by bytes.
 */
import type { Copies } from '#native/lanes/slab.ts';
import type { Inbox } from '../mailbox/inbox.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import type { Host } from './host.ts';

/** Copies of slabs that it may keep in memory of its own while no slab is free. */
const EVACUATED_BYTES_MAX = 64 * 1024 * 1024;

export class Evacuation {
  private readonly mailbox: Mailbox;
  private readonly host: Host;
  private readonly inbox: Inbox;
  private bytes = 0;

  constructor(mailbox: Mailbox, host: Host, inbox: Inbox) {
    this.mailbox = mailbox;
    this.host = host;
    this.inbox = inbox;
  }

  /** Called while no slab is free for what is held, whoever waits for whom. Returns how many messages moved. */
  run(): number {
    const { mailbox, inbox } = this;
    const { pool } = this.host;
    const copies: Copies = new Map();
    mailbox.held.detach();
    let moved = 0;
    for (const lane of mailbox.inputs) {
      while (this.mayMove()) {
        const at = lane.peek();
        if (at < 0) break;
        const known = copies.size;
        mailbox.deadlines.clear();
        inbox.readOrigin(lane, at);
        const message = inbox.open(lane, at);
        pool.releaseCopied();
        if (message === undefined) continue;
        const own = pool.detached(message, copies);
        const bytes = (copies.size - known) * pool.bytes;
        const context = mailbox.contextOf(message);
        const { from, cause } = mailbox.out;
        const origin = { trace: mailbox.out.origin(), cause, from };
        mailbox.local.push({ message: own, bytes, ...origin, ...context });
        this.bytes += bytes;
        for (const index of pool.takeViewed()) pool.drop(index);
        moved++;
      }
      lane.release();
    }
    return moved;
  }

  /** There is something to move, and memory for it. */
  possible(): boolean {
    return this.mayMove() && this.mailbox.inputs.some((lane) => !lane.empty());
  }

  /** One of those that had moved is handled. */
  handled(bytes: number): void {
    this.bytes -= bytes;
  }

  private mayMove(): boolean {
    return this.mailbox.deliverable && this.bytes < EVACUATED_BYTES_MAX;
  }
}
