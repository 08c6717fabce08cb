/**
 * What the runtime measures of an actor by itself: messages, the time that one takes, the depth of the mailbox. While a
 * thread is busy only some of its turns are timed; every message is counted.
 */
import type { MetricsWriter } from './metrics.ts';

export class Account {
  /** Most messages that have waited. */
  depthMax = 0;
  /** Messages handled in all. */
  total = 0;
  private readonly metrics: MetricsWriter;
  private handled = 0;
  /** Of one message, when last timed. */
  private messageMs = 0;

  constructor(metrics: MetricsWriter) {
    this.metrics = metrics;
  }

  waiting(depth: number): void {
    if (depth > this.depthMax) this.depthMax = depth;
  }

  /** A turn that was not timed. */
  count(messages: number): void {
    this.handled += messages;
    this.total += messages;
  }

  /** A turn that took so long. */
  time(messages: number, elapsedMs: number): void {
    this.handled += messages;
    this.total += messages;
    this.messageMs = elapsedMs / messages;
    this.settle();
  }

  /** Writes what has been counted, at the time of the last turn that was timed. */
  settle(): void {
    const { handled } = this;
    if (handled === 0) return;
    this.handled = 0;
    this.metrics.count('messages', handled);
    this.metrics.observe('handling_seconds', this.messageMs / 1000, handled);
    this.metrics.gauge('mailbox_depth_max', this.depthMax);
  }
}
