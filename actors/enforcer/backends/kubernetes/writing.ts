/** Makes what stands in the API equal to what is wanted: reads, writes what differs, and reads again until nothing does. */
import { err, ok, type Result } from '#proto/result.ts';
import type { Fault } from '../../backend.ts';
import type { PolicyApi } from './api.ts';
import {
  type Body,
  baseName,
  fieldManager,
  type Group,
  groupName,
  namePrefix,
  openBody,
  type Site,
} from './objects.ts';
import { groupsOf, isAsAsked, type Seen, type Step, stepsOf } from './steps.ts';
import { groupsFor, type Others } from './wanted.ts';

/** Every policy of the namespaces that are served. */
export type View = { readonly own: ReadonlyMap<string, readonly Seen[]>; readonly others: Others };

/** What is wanted of a group, given what others have. */
export type Wanted = (group: Group) => readonly Body[];

/** How often others may change what we write while we write it. */
const ROUNDS_MAX = 4;

/** By its name, and by who applied it. Labels anybody can give or take. */
const isOurs = ({ name, managers }: Seen, { owner }: Site): boolean =>
  name.startsWith(namePrefix(owner)) && managers.includes(fieldManager(owner));

export const readAll = async (
  api: PolicyApi,
  site: Site,
  namespaces: readonly string[],
): Promise<Result<View, Fault>> => {
  const own = new Map<string, readonly Seen[]>();
  const others = new Map<string, readonly Seen[]>();
  for (const namespace of namespaces) {
    const listed = await api.list(namespace);
    if (!listed.ok) return listed;
    own.set(
      namespace,
      listed.value.filter((seen) => isOurs(seen, site)),
    );
    others.set(
      namespace,
      listed.value.filter((seen) => !isOurs(seen, site)),
    );
  }
  return ok({ own, others });
};

const groupOf = (site: Site, namespace: string, name: string): Group | undefined =>
  groupsFor([namespace]).find(({ direction }) => groupName(site, direction) === name);

/**
 * Groups for other pods are of an earlier configuration. They go last: what both deny is denied to pods of both
 * all the while.
 */
export const stepsFor = (
  site: Site,
  { own }: Pick<View, 'own'>,
  wanted: Wanted,
): readonly (readonly Step[])[] => {
  const old: (readonly Step[])[] = [];
  const now: (readonly Step[])[] = [];
  for (const [namespace, policies] of own) {
    const groups = groupsOf(policies, site.owner);
    for (const [name, standing] of groups) {
      if (groupOf(site, namespace, name) !== undefined) continue;
      old.push(stepsOf([], standing, formerOpening(site, namespace, name, standing)));
    }
    for (const group of groupsFor([namespace])) {
      const standing = groups.get(groupName(site, group.direction)) ?? [];
      now.push(stepsOf(wanted(group), standing, openBody(site, group)));
    }
  }
  return [...now, ...old];
};

/** The base of a group for other pods, opened: it selects whom its objects select. */
const formerOpening = (
  site: Site,
  namespace: string,
  name: string,
  [first]: readonly Seen[],
): Body => {
  const isOut = (first?.spec.policyTypes ?? []).includes('Egress');
  const open = openBody(site, { namespace, direction: isOut ? 'out' : 'in' });
  const metadata = { ...open.metadata, name: baseName(site, name) };
  const podSelector = first?.spec.podSelector ?? open.spec.podSelector;
  return { ...open, metadata, spec: { ...open.spec, podSelector } };
};

/** Nothing is written before the server has agreed to all of it. */
const carryOut = async (
  api: PolicyApi,
  groups: readonly (readonly Step[])[],
): Promise<Result<void, Fault>> => {
  for (const dryRun of [true, false]) {
    for (const step of groups.flat()) {
      const done =
        step.kind === 'apply'
          ? await api.apply(step.body, { dryRun, over: step.over })
          : await api.remove(step.seen, dryRun);
      if (!done.ok) return done;
    }
  }
  return ok(undefined);
};

/** A name that we need and somebody else has. */
const takenName = ({ others }: View, wanted: Wanted): Fault | undefined => {
  for (const [namespace, policies] of others) {
    const names = new Set(policies.map(({ name }) => name));
    for (const group of groupsFor([namespace])) {
      const taken = wanted(group).find(({ metadata }) => names.has(metadata.name));
      if (taken === undefined) continue;
      const { name } = taken.metadata;
      const reason = `NetworkPolicy ${namespace}/${name} is not one of ours, but has the name of one: remove it`;
      return { code: 'conflict', reason };
    }
  }
  return undefined;
};

/** What is wanted is asked anew for each reading: others may have come in between. */
export const settle = async (
  api: PolicyApi,
  site: Site,
  namespaces: readonly string[],
  wantedIn: (view: View) => Wanted,
): Promise<Result<void, Fault>> => {
  let last: Fault | undefined;
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const view = await readAll(api, site, namespaces);
    if (!view.ok) return view;
    const wanted = wantedIn(view.value);
    const taken = takenName(view.value, wanted);
    if (taken !== undefined) return err(taken);
    const steps = stepsFor(site, view.value, wanted);
    if (steps.every((group) => group.length === 0)) return ok(undefined);
    const done = await carryOut(api, steps);
    last = done.ok ? undefined : done.error;
    if (last !== undefined && last.code !== 'conflict') return err(last);
  }
  const reason = `somebody changes our NetworkPolicies as fast as they are written (${ROUNDS_MAX} times): ${last?.reason ?? 'they read back other than written'}`;
  return err({ code: last?.code ?? 'not-verified', reason });
};

/** Groups that stand exactly as wanted, and how many objects of ours do not. */
export const compareAll = (
  site: Site,
  view: View,
  namespaces: readonly string[],
  wanted: Wanted,
): { readonly sound: ReadonlySet<Group>; readonly foreign: number } => {
  const sound = new Set<Group>();
  let foreign = 0;
  for (const namespace of namespaces) {
    const groups = groupsOf(view.own.get(namespace) ?? [], site.owner);
    for (const [name, standing] of groups) {
      if (groupOf(site, namespace, name) === undefined) foreign += standing.length;
    }
    for (const group of groupsFor([namespace])) {
      const standing = groups.get(groupName(site, group.direction)) ?? [];
      const asked = new Map(wanted(group).map((body) => [body.metadata.name, body]));
      const odd = standing.filter((seen) => {
        const body = asked.get(seen.name);
        return body === undefined || !isAsAsked(seen, body);
      });
      foreign += odd.length;
      if (odd.length === 0 && standing.length === asked.size) sound.add(group);
    }
  }
  return { sound, foreign };
};
