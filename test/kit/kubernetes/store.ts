/** What an API server keeps of NetworkPolicies: versions, owners of fields, preconditions. */
import { applyFields, type Manager, type Owned, updateFields } from './fields.ts';
import { type PolicyObject, validated, withoutEmpty } from './validation.ts';

/** As HTTP carries it. */
export type Refusal = {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
  readonly causes?: readonly { readonly reason: string; readonly field: string }[];
};
export type Outcome =
  | { readonly policy: PolicyObject; readonly isNew: boolean }
  | { readonly refusal: Refusal };

export type ApplyHow = {
  readonly manager: string;
  readonly isForced: boolean;
  readonly isDry: boolean;
  /** Whether it may be created. */
  readonly mayCreate: boolean;
};
export type Preconditions = {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
};

/** etcd takes no more in one request. */
const OBJECT_BYTES_MAX = 1_500_000;
const conflict = (message: string): { refusal: Refusal } => ({
  refusal: { status: 409, reason: 'Conflict', message },
});

const fieldsV1 = (fields: ReadonlySet<string>): object => {
  const tree: Record<string, Record<string, object>> = {};
  for (const field of fields) {
    const slash = field.indexOf('/');
    const [part, key] = [field.slice(0, slash), field.slice(slash + 1)];
    tree[`f:${part}`] = { ...tree[`f:${part}`], [`f:${key}`]: {} };
  }
  return tree;
};

type Shelf = {
  readonly namespaces: readonly string[];
  readonly objects: Map<string, Owned>;
  readonly watchers: (() => void)[];
  version: number;
  uids: number;
};

const shown = ({ policy, managers }: Owned): PolicyObject =>
  withoutEmpty({
    ...policy,
    metadata: {
      ...policy.metadata,
      managedFields: managers.map(({ manager, operation, fields }: Manager) => ({
        manager,
        operation,
        apiVersion: 'networking.k8s.io/v1',
        fieldsType: 'FieldsV1',
        fieldsV1: fieldsV1(fields),
      })),
    },
  });

/** Without its version: equal texts are the same object. */
const essence = ({ policy, managers }: Owned): string => {
  const { resourceVersion: _, ...metadata } = policy.metadata;
  const owners = managers.map((one) => ({ ...one, fields: [...one.fields].sort() }));
  return JSON.stringify([withoutEmpty({ ...policy, metadata }), owners]);
};

const changed = ({ watchers }: Shelf): void => {
  for (const watcher of watchers) watcher();
};

/** With its own metadata; a change that changes nothing keeps its version. */
const keep = (shelf: Shelf, key: string, next: Owned, isDry: boolean): Outcome => {
  const before = shelf.objects.get(key);
  const uid = before?.policy.metadata.uid ?? `uid-${++shelf.uids}`;
  const metadata = { ...next.policy.metadata, uid };
  const kept: Owned = { policy: { ...next.policy, metadata }, managers: next.managers };
  if (JSON.stringify(shown(kept)).length > OBJECT_BYTES_MAX) {
    const message = 'etcdserver: request is too large';
    return { refusal: { status: 500, reason: 'InternalError', message } };
  }
  const isSame = before !== undefined && essence(before) === essence(kept);
  const resourceVersion = isSame ? before.policy.metadata.resourceVersion : `${++shelf.version}`;
  const policy = { ...kept.policy, metadata: { ...metadata, resourceVersion } };
  const done: Owned = { ...kept, policy };
  if (!isDry && !isSame) {
    shelf.objects.set(key, done);
    changed(shelf);
  }
  return { policy: shown(done), isNew: before === undefined };
};

const checked = ({ namespaces }: Shelf, data: unknown, namespace: string, name: string) => {
  const body = data as { readonly metadata?: object };
  const metadata = { ...body.metadata, namespace, name };
  if (!namespaces.includes(namespace)) {
    const message = `namespaces "${namespace}" not found`;
    return { refusal: { status: 404, reason: 'NotFound', message } };
  }
  const found = validated({ ...body, metadata });
  if ('policy' in found) return found;
  const reason = found.status === 422 ? 'Invalid' : 'BadRequest';
  return { refusal: { ...found, reason } };
};

const broken = (existing: Owned | undefined, { uid, resourceVersion }: Preconditions) => {
  const metadata = existing?.policy.metadata;
  if (uid !== undefined && uid !== metadata?.uid) {
    return conflict(`Precondition failed: UID in precondition: ${uid}`);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata?.resourceVersion) {
    return conflict(
      'the object has been modified; please apply your changes to the latest version',
    );
  }
  return undefined;
};

const creationForbidden = (namespace: string, name: string): { refusal: Refusal } => {
  const what = 'resource "networkpolicies" in API group "networking.k8s.io"';
  const message = `networkpolicies.networking.k8s.io "${name}" is forbidden: User "agent" cannot create ${what} in the namespace "${namespace}"`;
  return { refusal: { status: 403, reason: 'Forbidden', message } };
};

const applied = (
  shelf: Shelf,
  namespace: string,
  name: string,
  data: unknown,
  how: ApplyHow,
): Outcome => {
  const found = checked(shelf, data, namespace, name);
  if ('refusal' in found) return found;
  const key = `${namespace}/${name}`;
  const existing = shelf.objects.get(key);
  const stale = broken(existing, found.policy.metadata);
  if (stale !== undefined) return stale;
  if (existing === undefined && !how.mayCreate) return creationForbidden(namespace, name);
  const { uid: _, resourceVersion: __, managedFields: ___, ...metadata } = found.policy.metadata;
  const patch = { ...found.policy, metadata };
  const next = applyFields(existing, patch, how.manager, how.isForced);
  if (!('conflicts' in next)) return keep(shelf, key, next, how.isDry);
  const causes = next.conflicts.map((field) => ({ reason: 'FieldManagerConflict', field }));
  const message = `Apply failed with ${causes.length} conflict(s): ${next.conflicts.join(', ')}`;
  return { refusal: { status: 409, reason: 'Conflict', message, causes } };
};

const removed = (
  shelf: Shelf,
  namespace: string,
  name: string,
  preconditions: Preconditions,
  isDry: boolean,
): Outcome => {
  const key = `${namespace}/${name}`;
  const existing = shelf.objects.get(key);
  if (existing === undefined) {
    const message = `networkpolicies.networking.k8s.io "${name}" not found`;
    return { refusal: { status: 404, reason: 'NotFound', message } };
  }
  const stale = broken(existing, preconditions);
  if (stale !== undefined) return stale;
  if (!isDry) {
    shelf.objects.delete(key);
    changed(shelf);
  }
  return { policy: shown(existing), isNew: false };
};

export const policyStore = (namespaces: readonly string[]) => {
  const shelf: Shelf = { namespaces, objects: new Map(), watchers: [], version: 100, uids: 0 };
  return {
    apply: (namespace: string, name: string, data: unknown, how: ApplyHow): Outcome =>
      applied(shelf, namespace, name, data, how),
    /** As `kubectl create` and `kubectl replace` by somebody else do. */
    put: (namespace: string, name: string, data: object, manager: string): PolicyObject => {
      const kind = { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy' };
      const found = checked(shelf, { ...kind, ...data }, namespace, name);
      if ('refusal' in found) throw new Error(found.refusal.message);
      const key = `${namespace}/${name}`;
      const { managedFields: _, ...metadata } = found.policy.metadata;
      const next = updateFields(shelf.objects.get(key), { ...found.policy, metadata }, manager);
      const done = keep(shelf, key, next, false);
      if ('refusal' in done) throw new Error(done.refusal.message);
      return done.policy;
    },
    remove: (
      namespace: string,
      name: string,
      preconditions: Preconditions = {},
      isDry = false,
    ): Outcome => removed(shelf, namespace, name, preconditions, isDry),
    /** Sorted by name. */
    list: (namespace?: string): readonly PolicyObject[] =>
      [...shelf.objects]
        .filter(([key]) => namespace === undefined || key.startsWith(`${namespace}/`))
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([, owned]) => shown(owned)),
    version: (): string => `${shelf.version}`,
    /** Called after each change that was kept. */
    onChange: (watcher: () => void): void => {
      shelf.watchers.push(watcher);
    },
    clear: (): void => shelf.objects.clear(),
  };
};

export type PolicyStore = ReturnType<typeof policyStore>;
