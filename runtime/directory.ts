/** Where the actors stand, and how an address finds one of them. Pure. */
import type { ActorSpec, ChildSpec, SupervisorSpec } from './spec.ts';

/** One actor of the system: its index is its place in start order. */
export type Place = {
  readonly index: number;
  /** Names from below the root, joined by dots: `v1.replica`. */
  readonly path: string;
  readonly name: string;
  readonly actor: string;
  readonly thread: number;
};

export type Found =
  | { readonly found: 'one'; readonly index: number }
  | { readonly found: 'none' }
  | { readonly found: 'many'; readonly paths: readonly string[] };

export const joinPath = (parent: string, name: string): string =>
  parent === '' ? name : `${parent}.${name}`;

/** Every actor of the tree in start order, with its path. */
export const actorsOf = (
  supervisor: SupervisorSpec,
  path = '',
): { readonly path: string; readonly spec: ActorSpec }[] =>
  supervisor.children.flatMap((child: ChildSpec) => {
    const own = joinPath(path, child.name);
    return child.kind === 'actor' ? [{ path: own, spec: child }] : actorsOf(child, own);
  });

const parentOf = (path: string): string => path.slice(0, Math.max(0, path.lastIndexOf('.')));

/** Numbers actors and threads. Throws a RangeError for a thread that names no earlier sibling. */
export const placesOf = (root: SupervisorSpec): readonly Place[] => {
  const places: Place[] = [];
  let threads = 0;
  for (const { path, spec } of actorsOf(root)) {
    const sibling = joinPath(parentOf(path), spec.thread);
    const host = spec.thread === 'own' ? undefined : places.find((p) => p.path === sibling);
    if (spec.thread !== 'own' && host === undefined) {
      throw new RangeError(`${path}: thread ${spec.thread} is no earlier sibling`);
    }
    if (places.some((p) => p.path === path)) throw new RangeError(`${path}: name is taken`);
    const thread = host?.thread ?? threads++;
    places.push({ index: places.length, path, name: spec.name, actor: spec.actor, thread });
  }
  return places;
};

const within = (scope: string, path: string): boolean =>
  scope === '' || path.startsWith(`${scope}.`);

const verdict = (candidates: readonly Place[]): Found =>
  candidates.length === 1
    ? { found: 'one', index: candidates[0]!.index }
    : candidates.length === 0
      ? { found: 'none' }
      : { found: 'many', paths: candidates.map((c) => c.path) };

/** Candidates of one scope: its own children first, then what stands in its groups. */
const inScope = (places: readonly Place[], scope: string, actor: string): Found => {
  const below = places.filter((p) => p.actor === actor && within(scope, p.path));
  const children = below.filter((p) => parentOf(p.path) === scope);
  return verdict(children.length > 0 ? children : below);
};

const inBranch = (
  places: readonly Place[],
  scope: string,
  actor: string,
  branch: string,
): Found => {
  const here = places.filter((p) => within(scope, p.path));
  const child = here.filter((p) => p.actor === actor && p.name === branch);
  if (child.length > 0) return verdict(child);
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

/**
 * Finds the actor that an address means to a sender: in the sender's own branch first (its siblings, then groups
 * of the branch), then upwards. A branch named by the address is looked for in the same order.
 */
export const resolve = (
  places: readonly Place[],
  from: string,
  actor: string,
  branch?: string,
): Found => {
  let scope = parentOf(from);
  for (;;) {
    const found =
      branch === undefined ? inScope(places, scope, actor) : inBranch(places, scope, actor, branch);
    if (found.found !== 'none' || scope === '') return found;
    scope = parentOf(scope);
  }
};
