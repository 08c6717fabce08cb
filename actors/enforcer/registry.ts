/** The policies that an agent knows: desired state, newest proofs, expiry. Pure. */
import type { PolicyRule } from '#proto/policy.ts';

/** held: proven, beyond the caps of this agent, and not approved. */
export type EntryStatus = 'pending' | 'applied' | 'failed' | 'held' | 'expired' | 'removed';

/** What the chain says of a policy, beside its rule. */
export type Agreed = {
  readonly id: string;
  /** Hex. */
  readonly ruleHash: string;
  /** Of the block that wrote this value of the policy; 0 where it was kept before that was. */
  readonly height: number;
  /** Unix milliseconds, from the chain. */
  readonly committedMs: number;
  readonly expiresMs: number;
  readonly anomaly: string;
  readonly anchorHeight: number;
  /** Hex. */
  readonly anchorHash: string;
};

export type Entry = Agreed & {
  readonly rule: PolicyRule;
  status: EntryStatus;
  /** 'noop', 'dry_run', or why it failed. */
  reason: string;
  appliedAtMs: number;
  endedAtMs: number;
  /** How often it has come into force or out of it again since it was first acknowledged. */
  turn: number;
};

/** Its removal is committed, and what enforces has not done it yet. */
export const isLeaving = (entry: Entry): boolean =>
  entry.status === 'removed' && entry.endedAtMs === 0;

/** What the API shows of one. */
export type PolicyView = {
  readonly id: string;
  readonly action: string;
  readonly targets: readonly string[];
  readonly status: EntryStatus;
  readonly reason: string;
  readonly anomaly: string;
  readonly committedMs: number;
  readonly appliedAtMs: number;
  readonly expiresMs: number;
  readonly anchorHeight: number;
};

export type Registry = {
  readonly entries: Map<string, Entry>;
};

export const newRegistry = (entries: readonly Entry[]): Registry => ({
  entries: new Map(entries.map((entry) => [entry.id, entry])),
});

const MINUTE_MS = 60_000;

export const inForce = (entry: Entry): boolean =>
  entry.status === 'applied' || entry.status === 'pending';

export function* rulesInForce(registry: Registry): Generator<PolicyRule> {
  for (const entry of registry.entries.values()) if (inForce(entry)) yield entry.rule;
}

/** What the backend should have in force; what it failed to do is tried again until its time is over. */
export const desired = (entry: Entry, atMs: number): boolean =>
  (inForce(entry) || entry.status === 'failed') && entry.expiresMs > atMs;

export const isHeld = (entry: Entry, atMs: number): boolean =>
  entry.status === 'held' && entry.expiresMs > atMs;

export const allHeld = (registry: Registry, atMs: number): readonly Entry[] =>
  [...registry.entries.values()].filter((entry) => isHeld(entry, atMs));

export const allDesired = (registry: Registry, atMs: number): readonly Entry[] =>
  [...registry.entries.values()].filter((entry) => desired(entry, atMs));

/** Failed ones among them: they may yet come into force. */
export const activeCount = (registry: Registry, atMs: number): number => {
  let count = 0;
  for (const entry of registry.entries.values()) if (desired(entry, atMs)) count++;
  return count;
};

/** Policies whose time is over and that are still in force. */
export const expired = (registry: Registry, atMs: number): readonly Entry[] =>
  [...registry.entries.values()].filter(
    (entry) => entry.status === 'applied' && entry.expiresMs <= atMs,
  );

/**
 * Forgets what has ended and could not come back: an old proof of it is refused by its expiry alone. Returns
 * the ids.
 */
export const forget = (registry: Registry, atMs: number): readonly string[] => {
  const gone = [...registry.entries.values()].filter(
    (entry) => !inForce(entry) && entry.expiresMs <= atMs - MINUTE_MS,
  );
  for (const entry of gone) registry.entries.delete(entry.id);
  return gone.map((entry) => entry.id);
};

export const viewOf = (entry: Entry): PolicyView => {
  const { ips = [], cidrs = [] } = entry.rule.target;
  return {
    id: entry.id,
    action: entry.rule.action,
    targets: [...ips, ...cidrs],
    status: entry.status,
    reason: entry.reason,
    anomaly: entry.anomaly,
    committedMs: entry.committedMs,
    appliedAtMs: entry.appliedAtMs,
    expiresMs: entry.expiresMs,
    anchorHeight: entry.anchorHeight,
  };
};
