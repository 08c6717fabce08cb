/** What is to be in force, and which of it can be: pure. */
import type { Fault } from '../../backend.ts';
import type { Direction } from '../../claims.ts';
import { type Body, bodiesOf, type Group, type Site } from './objects.ts';
import { piecesOf } from './pieces.ts';
import type { Wish } from './refusals.ts';
import { rivalOf, rivalReason } from './rivals.ts';
import { weightOfAll } from './shards.ts';
import type { Seen } from './steps.ts';

/** In the order in which they were asked for. */
export type Wishes = ReadonlyMap<string, Wish>;
export type Refused = ReadonlyMap<string, Fault>;
/** Policies of others, by namespace. */
export type Others = ReadonlyMap<string, readonly Seen[]>;

const DIRECTIONS: readonly Direction[] = ['in', 'out'];

const fault = (reason: string): Fault => ({ code: 'not-enforceable', reason });

export const groupsFor = (namespaces: readonly string[]): readonly Group[] =>
  namespaces.flatMap((namespace) => DIRECTIONS.map((direction) => ({ namespace, direction })));

const isAbout = ({ claims, namespaces }: Wish, { namespace, direction }: Group): boolean =>
  namespaces.includes(namespace) && claims.some((claim) => claim.direction === direction);

/**
 * A policy is in force everywhere that it asks for, or nowhere. `hidden`: namespaces whose pods do not see
 * who connects to them.
 */
export const beside = (
  wishes: Wishes,
  others: Others,
  hidden: ReadonlyMap<string, string>,
  site: Site,
): Refused => {
  const refused = new Map<string, Fault>();
  for (const [namespace, reason] of hidden) {
    for (const id of idsAbout(wishes, { namespace, direction: 'in' }, true)) {
      refused.set(id, fault(reason));
    }
  }
  for (const [namespace, policies] of others) {
    for (const direction of DIRECTIONS) {
      const rival = rivalOf(policies, site.podLabels, direction);
      if (rival === undefined) continue;
      for (const id of idsAbout(wishes, { namespace, direction }, true)) {
        if (refused.has(id)) continue;
        refused.set(id, fault(rivalReason(rival, direction, wishes.get(id)!.networks)));
      }
    }
  }
  return refused;
};

/** Exceptions that a group of objects needs, all together. */
const weightIn = (wishes: readonly Wish[], group: Group): number => {
  const claims = claimsIn(wishes, group);
  return weightOfAll(piecesOf(claims, 4)) + weightOfAll(piecesOf(claims, 6));
};

const claimsIn = (wishes: readonly Wish[], group: Group) =>
  wishes
    .filter((wish) => isAbout(wish, group))
    .flatMap(({ claims }) => claims.filter(({ direction }) => direction === group.direction));

/** Of those that were asked for last, what is too much. Dry runs take no room. */
export const beyond = (
  wishes: Wishes,
  namespaces: readonly string[],
  exceptionsMax: number,
): Refused => {
  const all = [...wishes].filter(([, wish]) => !isDry(wish));
  const fits = (count: number): boolean => {
    const some = all.slice(0, count).map(([, wish]) => wish);
    return groupsFor(namespaces).every((group) => weightIn(some, group) <= exceptionsMax);
  };
  if (fits(all.length)) return new Map();
  let low = 0;
  let high = all.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  const reason = `more than ${exceptionsMax} exceptions for the same pods (kubernetes.exceptionsMax)`;
  return new Map(all.slice(low).map(([id]) => [id, fault(reason)]));
};

/** It is judged as the others are, and nothing is written. */
export const isDry = ({ entry }: Wish): boolean => entry.rule.guardrails.dry_run === true;

/** Inner blocks first, the base last. */
export const bodiesFor = (site: Site, group: Group, wishes: Wishes): readonly Body[] => {
  const own = [...wishes.values()].filter((wish) => !isDry(wish) && isAbout(wish, group));
  const untilMs = own.reduce((latest, { entry }) => Math.max(latest, entry.expiresMs), 0);
  return bodiesOf(site, group, claimsIn(own, group), untilMs);
};

/** Ids of what asks something of a group. */
export const idsAbout = (wishes: Wishes, group: Group, withDry: boolean): readonly string[] =>
  [...wishes].flatMap(([id, wish]) =>
    isAbout(wish, group) && (withDry || !isDry(wish)) ? [id] : [],
  );
