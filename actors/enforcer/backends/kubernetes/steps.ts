/** From the objects that stand to the ones that should, in an order that no crash can make harmful. Pure. */
import { canonicalJson } from '#proto/json.ts';
import { type Body, groupIn, type Labels, type Spec } from './objects.ts';

/** A NetworkPolicy as the API has it. */
export type Seen = {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Labels;
  readonly annotations: Labels;
  readonly spec: Spec;
  /** Who owns fields of it. */
  readonly managers: readonly string[];
};

export type Step =
  /** `over` is what stands there of ours. */
  | { readonly kind: 'apply'; readonly body: Body; readonly over: Seen | undefined }
  | { readonly kind: 'delete'; readonly seen: Seen };

/** Whether it enforces what was asked; labels and annotations of others beside ours do not matter. */
export const isAsAsked = (seen: Seen, { metadata, spec }: Body): boolean =>
  canonicalJson(seen.spec) === canonicalJson(spec) &&
  holds(seen.labels, metadata.labels) &&
  holds(seen.annotations, metadata.annotations);

const holds = (all: Labels, some: Labels): boolean =>
  Object.entries(some).every(([key, value]) => all[key] === value);

/**
 * Objects of a group add up, and the first one shuts out what the others would let in. So before the first of
 * several, and before one of several goes, the base is opened; inner blocks are written before those that except
 * them, and what is not wanted any more goes last. After each step, whatever was let through before and will
 * be after is let through, and (but for an opened base) whatever was denied before and will be after is denied.
 * `wanted`: inner blocks first, the base last; empty to take all of the group away.
 */
export const stepsOf = (
  wanted: readonly Body[],
  current: readonly Seen[],
  open: Body,
): readonly Step[] => {
  const standing = new Map(current.map((seen) => [seen.name, seen]));
  const base = standing.get(open.metadata.name);
  const names = new Set(wanted.map(({ metadata }) => metadata.name));
  const stale = current.filter(({ name }) => !names.has(name));
  const steps: Step[] = [];
  const several =
    wanted.length === 0 ? current.length > 1 : base === undefined && wanted.length > 1;
  const opens = several && (base === undefined || !isAsAsked(base, open));
  if (opens) steps.push({ kind: 'apply', body: open, over: base });
  for (const body of wanted) {
    const over = standing.get(body.metadata.name);
    const isBase = body.metadata.name === open.metadata.name;
    if (over !== undefined && isAsAsked(over, body) && !(isBase && opens)) continue;
    steps.push({ kind: 'apply', body, over });
  }
  // The open base outlives the others.
  stale.sort((a, b) => Number(a === base) - Number(b === base) || (a.name < b.name ? -1 : 1));
  for (const seen of stale) steps.push({ kind: 'delete', seen });
  return steps;
};

/** Of objects that are ours. */
export const groupsOf = (
  current: readonly Seen[],
  owner: string,
): ReadonlyMap<string, readonly Seen[]> => {
  const groups = new Map<string, Seen[]>();
  for (const seen of current) {
    const group = groupIn(seen.name, owner);
    groups.set(group, [...(groups.get(group) ?? []), seen]);
  }
  return groups;
};
