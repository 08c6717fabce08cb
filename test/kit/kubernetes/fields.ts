/** Server-side apply: who owns which field (kubernetes.io, "Server-Side Apply"). Lists of a NetworkPolicy are atomic. */
import { canonicalJson } from '#proto/json.ts';
import type { PolicyObject } from './validation.ts';

/** A field by its path, as `metadata.labels/app`, `spec/ingress`. */
type Fields = Map<string, unknown>;
export type Manager = {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly fields: ReadonlySet<string>;
};
export type Owned = { readonly policy: PolicyObject; readonly managers: readonly Manager[] };
export type Conflict = { readonly conflicts: readonly string[] };

const fieldsOf = ({ metadata, spec }: PolicyObject): Fields => {
  const fields: Fields = new Map();
  for (const part of ['labels', 'annotations'] as const) {
    for (const [key, value] of Object.entries(metadata[part] ?? {})) {
      fields.set(`metadata.${part}/${key}`, value);
    }
  }
  for (const [key, value] of Object.entries(spec)) fields.set(`spec/${key}`, value);
  return fields;
};

const without = (managers: readonly Manager[], fields: ReadonlySet<string>): Manager[] =>
  managers
    .map((one) => ({ ...one, fields: new Set([...one.fields].filter((f) => !fields.has(f))) }))
    .filter((one) => one.fields.size > 0);

const policyFrom = (before: PolicyObject, fields: Fields): PolicyObject => {
  const part = (prefix: string) =>
    Object.fromEntries(
      [...fields].flatMap(([path, value]) =>
        path.startsWith(prefix) ? [[path.slice(prefix.length), value]] : [],
      ),
    );
  const metadata = {
    ...before.metadata,
    labels: part('metadata.labels/') as Record<string, string>,
    annotations: part('metadata.annotations/') as Record<string, string>,
  };
  return { ...before, metadata, spec: part('spec/') as PolicyObject['spec'] };
};

const isMe = (manager: string) => (one: Manager) =>
  one.manager === manager && one.operation === 'Apply';

/** `existing` undefined: it is created. */
export const applyFields = (
  existing: Owned | undefined,
  patch: PolicyObject,
  manager: string,
  isForced: boolean,
): Owned | Conflict => {
  const wanted = fieldsOf(patch);
  const me: Manager = { manager, operation: 'Apply', fields: new Set(wanted.keys()) };
  if (existing === undefined) return { policy: patch, managers: [me] };
  const fields = fieldsOf(existing.policy);
  const others = existing.managers.filter((one) => !isMe(manager)(one));
  const differing = new Set(
    [...wanted].flatMap(([path, value]) =>
      canonicalJson(fields.get(path) ?? null) === canonicalJson(value) ? [] : [path],
    ),
  );
  const conflicts = [...differing].filter((path) => others.some((one) => one.fields.has(path)));
  if (conflicts.length > 0 && !isForced) return { conflicts };
  const kept = without(others, differing);
  const former = existing.managers.find(isMe(manager))?.fields ?? new Set<string>();
  for (const path of former) {
    if (!wanted.has(path) && !kept.some((one) => one.fields.has(path))) fields.delete(path);
  }
  for (const [path, value] of wanted) fields.set(path, value);
  return { policy: policyFrom(existing.policy, fields), managers: [...kept, me] };
};

/** As PUT and POST do: what changes belongs to whoever changed it. */
export const updateFields = (
  existing: Owned | undefined,
  next: PolicyObject,
  manager: string,
): Owned => {
  const after = fieldsOf(next);
  const before = existing === undefined ? new Map() : fieldsOf(existing.policy);
  const changed = new Set(
    [...after].flatMap(([path, value]) =>
      canonicalJson(before.get(path) ?? null) === canonicalJson(value) ? [] : [path],
    ),
  );
  const removed = new Set([...before.keys()].filter((path) => !after.has(path)));
  const kept = without(existing?.managers ?? [], new Set([...changed, ...removed]));
  const mine = kept.find((one) => one.manager === manager && one.operation === 'Update');
  const me: Manager = {
    manager,
    operation: 'Update',
    fields: new Set([...(mine?.fields ?? []), ...changed]),
  };
  const managers = [...kept.filter((one) => one !== mine), ...(me.fields.size > 0 ? [me] : [])];
  return { policy: next, managers };
};
