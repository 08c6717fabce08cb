/**
 * A backend over a firewall that has sets with timeouts. What is ours is written whole at the start, when a
 * set is needed for the first time, and when it differs from what it should be; else only elements change.
 */
import { err, ok, type Result } from '#proto/result.ts';
import {
  type Applied,
  applied,
  type Backend,
  type BackendName,
  type Census,
  type Fault,
  failed,
  gone,
  NO_PACKETS,
} from '../backend.ts';
import { type Claim, claimsOf } from '../claims.ts';
import { type Contents, type Demand, demand, type Layout, type SetChange } from '../demand.ts';
import type { FailsafePorts } from '../failsafe.ts';
import type { Entry } from '../registry.ts';

export type FirewallOptions = {
  readonly failsafe: readonly FailsafePorts[];
  /** Whose tables; '' for the namespace of this process. */
  readonly netns: string;
  readonly timeoutMs: number;
  /** Unix milliseconds. */
  readonly now: () => number;
};

/** What of ours the kernel holds. */
export type Listing = {
  readonly sets: ReadonlyMap<string, Contents>;
  readonly packets: Census['packets'];
  /** Everything but elements and counts; equal texts enforce alike. */
  readonly structure: string;
};

type Outcome = Promise<Result<void, Fault>>;

/** One kind of firewall. Nothing in it touches what is not ours. */
export type Driver = {
  readonly name: BackendName;
  readonly layout: Layout;
  /** Why it cannot enforce these claims; undefined when it can. */
  readonly refuses: (claims: readonly Claim[]) => string | undefined;
  readonly probe: () => Outcome;
  /** undefined: nothing of ours is there. */
  readonly read: (atMs: number) => Promise<Result<Listing | undefined, Fault>>;
  readonly replace: (
    sets: readonly SetChange[],
    packets: Census['packets'],
    atMs: number,
  ) => Outcome;
  /** Of sets that stand; all or nothing. */
  readonly change: (changes: readonly SetChange[], atMs: number) => Outcome;
  /** What the kernel shows after a change, as `structure` of a listing; cheap, and at any number of elements. */
  readonly confirm: (changes: readonly SetChange[]) => Promise<Result<string, Fault>>;
  readonly remove: () => Outcome;
};

type Site = {
  readonly driver: Driver;
  readonly now: () => number;
  wanted: Demand;
  /** Sets that stand; undefined while nobody knows what the kernel holds. */
  sets: ReadonlySet<string> | undefined;
  /** As the kernel showed it right after we wrote it. */
  structure: string;
  packets: Census['packets'];
};

/** Each set is a rule that every packet passes; each rate is a set. */
const SETS_MAX = 256;

const unverified = (reason: string): Fault => ({
  code: 'not-verified',
  reason: `the firewall took it, but read back: ${reason}`,
});

/** Compares what stands with what is wanted. */
const verifyAll = (site: Site, found: Listing | undefined): Result<Listing, Fault> => {
  if (found === undefined) return err(unverified('nothing of ours is there'));
  const { ids } = site.wanted.compare(found.sets, site.now());
  const lost = [...site.wanted.ids()].filter((id) => !ids.has(id)).length;
  return lost === 0 ? ok(found) : err(unverified(`${lost} policies are not there`));
};

/** Everything in one transaction, and what the kernel then shows. */
const rewrite = async (site: Site): Outcome => {
  const { driver, now, wanted } = site;
  site.sets = undefined;
  const before = await driver.read(now());
  if (!before.ok) return before;
  // Counts of what somebody removed go on from the last that were seen.
  site.packets = before.value?.packets ?? site.packets;
  const atMs = now();
  const sets = wanted.everything(atMs);
  const written = await driver.replace(sets, site.packets, atMs);
  if (!written.ok) return written;
  const after = await driver.read(now());
  if (!after.ok) return after;
  const verified = verifyAll(site, after.value);
  if (!verified.ok) return verified;
  site.structure = verified.value.structure;
  site.sets = new Set(sets.map(({ set }) => set.name));
  return ok(undefined);
};

/** The kernel took every element or none; without their rules they would be nothing. */
const verify = async (site: Site, changes: readonly SetChange[]): Outcome => {
  if (changes.every((one) => one.fresh.length === 0)) return ok(undefined);
  const shown = await site.driver.confirm(changes);
  if (!shown.ok) return shown;
  return shown.value === site.structure ? ok(undefined) : err(unverified('other rules than ours'));
};

/** Elements only where every set stands; what fails is tried once more as a whole. */
const write = async (site: Site): Outcome => {
  const { driver, now, wanted, sets } = site;
  const isKnown = sets !== undefined && [...wanted.setNames()].every((name) => sets.has(name));
  if (!isKnown) return rewrite(site);
  const atMs = now();
  const changes = wanted.changes(atMs);
  if (changes.length === 0) return ok(undefined);
  const written = await driver.change(changes, atMs);
  if (written.ok && (await verify(site, changes)).ok) return written;
  // Somebody has changed what is ours, or an answer was lost.
  return rewrite(site);
};

/** Takes an entry into what is wanted, unless it cannot be. */
const admit = ({ wanted, driver }: Site, entry: Entry, atMs: number): Fault | undefined => {
  if (entry.expiresMs <= atMs) return { code: 'expired', reason: 'its time is over' };
  const claims = claimsOf(entry.rule);
  if (!claims.ok) return { code: 'not-enforceable', reason: claims.error };
  const refusal = driver.refuses(claims.value);
  if (refusal !== undefined) return { code: 'not-enforceable', reason: refusal };
  wanted.put(entry.id, claims.value, entry.expiresMs);
  if (wanted.setCount() <= SETS_MAX) return undefined;
  wanted.drop(entry.id);
  return { code: 'not-enforceable', reason: `more than ${SETS_MAX} kinds of rules and rates` };
};

/**
 * One outcome for each of `entries`, then of those that `ended`. After a failed write nobody knows what the kernel
 * holds: the next one is a whole one.
 */
const bring = async (
  site: Site,
  entries: readonly Entry[],
  ended: readonly string[],
  atMs: number,
): Promise<readonly Applied[]> => {
  const faults = entries.map((entry) => admit(site, entry, atMs));
  const written = await write(site);
  if (!written.ok) {
    site.sets = undefined;
    for (const { id } of entries) site.wanted.drop(id);
  }
  const outcomes = entries.map((entry, k) => {
    const fault = faults[k] ?? (written.ok ? undefined : written.error);
    return fault === undefined ? applied(entry) : failed(entry, fault);
  });
  const removed = written.ok ? gone(ended) : ended.map((id) => failed({ id }, written.error));
  return [...outcomes, ...removed];
};

const census = async (site: Site, atMs: number): Promise<Result<Census, Fault>> => {
  const listing = await site.driver.read(atMs);
  if (!listing.ok) return listing;
  const found = listing.value;
  if (found !== undefined) site.packets = found.packets;
  const { packets, sets, structure, wanted } = site;
  if (found === undefined || sets === undefined || found.structure !== structure) {
    // Without its rules no element enforces anything.
    return ok({ ids: new Set(), foreign: found === undefined ? 0 : 1, packets });
  }
  return ok({ ...wanted.compare(found.sets, atMs), packets });
};

const forgetAll = (site: Site): void => {
  site.wanted = demand(site.driver.layout);
  site.sets = undefined;
};

export const setBackend = (driver: Driver, now: () => number): Backend => {
  const wanted = demand(driver.layout);
  const site: Site = { driver, now, wanted, sets: undefined, structure: '', packets: NO_PACKETS };
  return {
    name: driver.name,
    probe: driver.probe,
    restore: (entries, atMs) => {
      forgetAll(site);
      return bring(site, entries, [], atMs);
    },
    change: (entries, ended, atMs) => {
      for (const id of ended) site.wanted.drop(id);
      return bring(site, entries, ended, atMs);
    },
    census: (atMs) => census(site, atMs),
    clear: async () => {
      const seen = await driver.read(now());
      forgetAll(site);
      // What cannot be read is removed all the same; where nothing is, nothing is touched.
      if (seen.ok && seen.value === undefined) return ok(undefined);
      if (seen.ok && seen.value !== undefined) site.packets = seen.value.packets;
      return driver.remove();
    },
    // What is in force stays so: every element has its own end.
    close: async () => {},
  };
};
