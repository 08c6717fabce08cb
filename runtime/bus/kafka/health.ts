/** Says once what is wrong with a part of the bus, and once that it works again. */
import { faultOf } from './faults.ts';
import type { Say } from './settings.ts';

export type Health = {
  /** `scope`: the connection, a topic or a group. `atOnce`: nobody has to wait for a second failure to hear of it. */
  readonly failed: (scope: string, error: unknown, atOnce?: boolean) => void;
  readonly worked: (scope: string) => void;
};

type Trouble = {
  readonly sinceMs: number;
  /** '' while it is too young to be told: a new leader takes a moment. */
  reason: string;
  saidMs: number;
};

const PATIENCE_MS = 1000;
/** A reason that changes is told again, but not while one error turns into the next during a restart. */
const CALM_MS = 10_000;

export const openHealth = (say: Say, now: () => number): Health => {
  const troubles = new Map<string, Trouble>();
  return {
    failed: (scope, error, atOnce = false) => {
      const { permanent, reason, remedy } = faultOf(error);
      const atMs = now();
      const known = troubles.get(scope) ?? { sinceMs: atMs, reason: '', saidMs: 0 };
      troubles.set(scope, known);
      if (known.reason === reason) return;
      const young = !atOnce && !permanent && atMs - known.sinceMs < PATIENCE_MS;
      if (known.reason === '' ? young : atMs - known.saidMs < CALM_MS) return;
      known.reason = reason;
      known.saidMs = atMs;
      say('error', `the bus waits for ${scope}: ${reason}`, { remedy });
    },
    worked: (scope) => {
      const known = troubles.get(scope);
      if (known === undefined) return;
      troubles.delete(scope);
      if (known.reason === '') return;
      say('info', `${scope} works again`, { afterMs: now() - known.sinceMs });
    },
  };
};

/** What the connection as a whole is called in messages. */
export const CONNECTION = 'Kafka';
