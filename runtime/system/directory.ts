/** Where the actors stand, and how an address finds one of them. Pure. */
import type { ActorSpec, ChildSpec, PoolRouting, SupervisorSpec } from '../spec.ts';

/** The pool that an actor is a member of. */
export type PoolPlace = PoolRouting & { readonly path: string };

/** One actor of the system: its index is its place in start order. */
export type Place = {
  readonly index: number;
  /** Names from below the root, joined by dots: `v1.replica`. */
  readonly path: string;
  readonly name: string;
  readonly actor: string;
  readonly thread: number;
  readonly pool?: PoolPlace;
};

export type Found =
  | { readonly found: 'one'; readonly index: number }
  /** A pool: its members in start order. */
  | { readonly found: 'pool'; readonly members: readonly number[]; readonly pool: PoolPlace }
  | { readonly found: 'none' }
  | { readonly found: 'many'; readonly paths: readonly string[] };

export const joinPath = (parent: string, name: string): string =>
  parent === '' ? name : `${parent}.${name}`;

type Entry = { readonly path: string; readonly spec: ActorSpec; readonly pool?: PoolPlace };

/** Every actor of the tree in start order, with its path. */
export const actorsOf = (supervisor: SupervisorSpec, path = ''): readonly Entry[] =>
  supervisor.children.flatMap((child: ChildSpec): readonly Entry[] => {
    const own = joinPath(path, child.name);
    if (child.kind === 'supervisor') return actorsOf(child, own);
    const { pool } = supervisor;
    return [{ path: own, spec: child, ...(pool === undefined ? {} : { pool: { ...pool, path } }) }];
  });

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('.')));

/** Numbers actors and threads. Throws a RangeError for a thread that names no earlier sibling. */
export const placesOf = (root: SupervisorSpec): readonly Place[] => {
  const places: Place[] = [];
  let threads = 0;
  for (const { path, spec, pool } of actorsOf(root)) {
    const sibling = joinPath(parentOf(path), spec.thread);
    const host = spec.thread === 'own' ? undefined : places.find((p) => p.path === sibling);
    if (spec.thread !== 'own' && host === undefined) {
      throw new RangeError(`${path}: thread ${spec.thread} is no earlier sibling`);
    }
    if (places.some((p) => p.path === path)) throw new RangeError(`${path}: name is taken`);
    const thread = host?.thread ?? threads++;
    const { name, actor } = spec;
    const member = pool === undefined ? {} : { pool };
    places.push({ index: places.length, path, name, actor, thread, ...member });
  }
  return places;
};

const within = (scope: string, path: string): boolean =>
  scope === '' || path.startsWith(`${scope}.`);

/** Where an address finds it: a member of a pool stands where its pool stands. */
const standing = (place: Place): string => place.pool?.path ?? place.path;

const verdict = (candidates: readonly Place[]): Found => {
  const first = candidates[0];
  if (first === undefined) return { found: 'none' };
  const stands = [...new Set(candidates.map(standing))];
  if (stands.length > 1) return { found: 'many', paths: stands };
  if (first.pool === undefined) return { found: 'one', index: first.index };
  return { found: 'pool', members: candidates.map((c) => c.index), pool: first.pool };
};

/** Candidates of one scope: its own children first, then what stands in its groups. */
const inScope = (places: readonly Place[], scope: string, actor: string): Found => {
  const below = places.filter((p) => p.actor === actor && within(scope, p.path));
  const children = below.filter((p) => parentOf(standing(p)) === scope);
  return verdict(children.length > 0 ? children : below);
};

const inBranch = (
  places: readonly Place[],
  scope: string,
  actor: string,
  branch: string,
): Found => {
  const here = places.filter((p) => within(scope, p.path));
  const named = here.filter((p) => p.actor === actor && p.name === branch);
  if (named.length === 1) return { found: 'one', index: named[0]!.index };
  if (named.length > 1) return { found: 'many', paths: named.map((c) => c.path) };
  const scopes = new Set<string>();
  for (const p of here) {
    const parts = p.path.split('.');
    parts.slice(0, -1).forEach((part, k) => {
      const path = parts.slice(0, k + 1).join('.');
      if (part === branch && (path === scope || within(scope, path))) scopes.add(path);
    });
  }
  if (scopes.size !== 1) {
    return scopes.size === 0 ? { found: 'none' } : { found: 'many', paths: [...scopes] };
  }
  return inScope(places, [...scopes][0]!, actor);
};

const atPath = (places: readonly Place[], actor: string, path: string): Found => {
  const place = places.find((p) => p.path === path && p.actor === actor);
  return place === undefined ? { found: 'none' } : { found: 'one', index: place.index };
};

/**
 * Finds the actor that an address means to a sender: in the sender's own branch first (its siblings, then groups
 * of the branch), then upwards. A branch named by the address is looked for in the same order; one that begins with a
 * dot is a whole path.
 */
export const resolve = (
  places: readonly Place[],
  from: string,
  actor: string,
  branch?: string,
): Found => {
  if (branch?.startsWith('.')) return atPath(places, actor, branch.slice(1));
  let scope = parentOf(from);
  for (;;) {
    const found =
      branch === undefined ? inScope(places, scope, actor) : inBranch(places, scope, actor, branch);
    if (found.found !== 'none' || scope === '') return found;
    scope = parentOf(scope);
  }
};

/** Of several actors those in the nearest branch of `from` that has any: one of the siblings, then upwards. */
export const nearestOf = (
  places: readonly Place[],
  from: string,
  candidates: readonly number[],
): readonly number[] => {
  let scope = parentOf(from);
  for (;;) {
    const inside = candidates.filter((index) => within(scope, places[index]!.path));
    if (inside.length > 0 || scope === '') return inside;
    scope = parentOf(scope);
  }
};
