/** Where no slab is free: what waits in slabs for an actor moves to its own memory, so that others get on. */
import type { Copies, SlabPool } from '#native/lanes/slab.ts';
import { DELIVERED_MAX, type Mailbox } from './mailbox.ts';

/** Copies of slabs that an actor may keep in memory of its own while no slab is free. */
const EVACUATED_BYTES_MAX = 64 * 1024 * 1024;

export class Evacuation {
  /** Of the copies that wait in the actor's own queue. */
  bytes = 0;
  private readonly mailbox: Mailbox;
  private readonly pool: SlabPool;

  constructor(mailbox: Mailbox, pool: SlabPool) {
    this.mailbox = mailbox;
    this.pool = pool;
  }

  /**
   * Called while no slab is free for what is held: what waits in slabs for this actor moves to its own memory, so that
   * slabs come free whoever waits for whom. Returns how many messages moved.
   */
  run(): number {
    const { mailbox, pool } = this;
    const copies: Copies = new Map();
    mailbox.held.detach();
    let moved = 0;
    for (const lane of mailbox.inputs) {
      while (this.hasRoom()) {
        const at = lane.peek();
        if (at < 0) break;
        const known = copies.size;
        const message = mailbox.inbox.open(lane, at);
        if (message === undefined) continue;
        const own = pool.detached(message, copies);
        const bytes = (copies.size - known) * pool.bytes;
        const { from, cause } = mailbox.out;
        mailbox.local.push({ message: own, trace: mailbox.out.origin(), cause, from, bytes });
        this.bytes += bytes;
        for (const index of pool.takeViewed()) pool.drop(index);
        moved++;
      }
      lane.release();
    }
    return moved;
  }

  /** There is something to evacuate, and memory for it. */
  isPossible(): boolean {
    return this.hasRoom() && this.mailbox.inputs.some((lane) => !lane.empty());
  }

  private hasRoom(): boolean {
    return this.mailbox.local.length < DELIVERED_MAX && this.bytes < EVACUATED_BYTES_MAX;
  }
}
