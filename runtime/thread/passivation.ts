/**
 * An actor that has nothing to do gives up its state and closes its io; its address, its incarnation and its place in listings
 * stay, and its next message starts it again, as a restart would. It waits while anything is under way: an open ask, a timer,
 * a watch, a subscription, something put aside, a delivery, or a question whose asker still waits.
 */
import type { Mailbox } from '../mailbox/mailbox.ts';

export type Passivation = {
  /** A message has come for an actor that sleeps. */
  wake(): Promise<void>;
  /** No more of it: the actor ends. */
  stop(): void;
};

export type Bedroom = {
  /** New state, new io, its start. */
  readonly open: () => Promise<void>;
  readonly close: () => Promise<void>;
  readonly crash: (phase: string, error: unknown) => void;
  readonly soon: () => void;
};

/** Idle is being idle at so many looks in a row. */
const CHECKS = 4;

export const passivate = (mailbox: Mailbox, afterMs: number, on: Bedroom): Passivation => {
  mailbox.metrics.gauge('passive', 0); // its last life may have ended asleep
  let handled = -1;
  let quiet = 0;
  const sleep = async (): Promise<void> => {
    mailbox.rest = 'moving';
    try {
      await on.close();
    } catch (error) {
      return on.crash('close', error);
    }
    if (mailbox.closed) return;
    clearInterval(timer);
    mailbox.state = undefined;
    mailbox.rest = 'asleep';
    mailbox.metrics.count('passivations', 1);
    mailbox.metrics.gauge('passive', 1);
    on.soon(); // something may have come meanwhile
  };
  const look = (): void => {
    const idle = mailbox.rest === 'awake' && mailbox.settled && mailbox.account.total === handled;
    handled = mailbox.account.total;
    quiet = idle ? quiet + 1 : 0;
    if (quiet < CHECKS) return;
    quiet = 0;
    void sleep();
  };
  const watchOver = (): NodeJS.Timeout => setInterval(look, Math.max(1, afterMs / CHECKS));
  let timer = watchOver();
  return {
    stop: () => clearInterval(timer),
    wake: async () => {
      mailbox.rest = 'moving';
      try {
        await on.open();
      } catch (error) {
        return on.crash('open', error);
      }
      if (mailbox.closed) return; // whoever closed it closes its io, too
      mailbox.metrics.gauge('passive', 0);
      mailbox.rest = 'awake';
      timer = watchOver();
      on.soon();
    },
  };
};
