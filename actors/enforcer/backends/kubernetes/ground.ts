/** Whether NetworkPolicies mean anything in this cluster, and for these pods. */
import { type Cidr, contains, parseIp } from '#proto/ip.ts';
import { ok, type Result } from '#proto/result.ts';
import type { Connection } from './connection.ts';
import type { ApiFault } from './faults.ts';
import type { Labels } from './objects.ts';
import {
  CILIUM,
  CILIUM_CONFIG,
  ciliumObjection,
  type DaemonSet,
  enforcingPlugin,
  OTHER_KINDS,
} from './plugins.ts';
import { canMeet } from './selectors.ts';

export type GroundOptions = {
  readonly namespaces: readonly string[];
  readonly podLabels: Labels;
  readonly clusterNetworks: readonly Cidr[];
  /** The operator says so: the plugin is not asked for. */
  readonly cniEnforces: boolean;
  /** The operator says so: Services are not asked for. */
  readonly sourcesPreserved: boolean;
};

/** Why nothing can be enforced here; undefined when it can. */
export type Objection = string | undefined;
export type Ground = {
  readonly objection: Objection;
  /** Namespaces whose pods do not see who connects to them, and why. */
  readonly hidden: ReadonlyMap<string, string>;
};
type Finding = Promise<Result<Objection, ApiFault>>;

const PAGE = 500;
const NOT_FOUND = 404;

type Page<T> = {
  readonly items: readonly T[];
  readonly metadata?: { readonly _continue?: string };
};

/** Pages of a list, one after the other, until `look` has seen enough. */
const eachPage = async <T>(
  ask: (next: { readonly _continue?: string }) => Promise<Result<Page<T>, ApiFault>>,
  look: (items: readonly T[]) => void,
): Promise<Result<void, ApiFault>> => {
  let next: string | undefined;
  do {
    const listed = await ask(next === undefined ? {} : { _continue: next });
    if (!listed.ok) return listed;
    look(listed.value.items);
    next = listed.value.metadata?._continue;
  } while (next !== undefined && next !== '');
  return ok(undefined);
};

const daemonSets = async ({
  call,
}: Connection): Promise<Result<readonly DaemonSet[], ApiFault>> => {
  const found: DaemonSet[] = [];
  const read = await eachPage(
    (next) =>
      call('list daemonsets of all namespaces', ({ apps }) =>
        apps.listDaemonSetForAllNamespaces({ limit: PAGE, ...next }),
      ),
    (items) => {
      for (const { metadata, status, spec } of items) {
        const containers = (spec?.template.spec?.containers ?? []).map(
          ({ name, command = [], args = [] }) => ({ name, words: [...command, ...args] }),
        );
        const { name = '', namespace = '' } = metadata ?? {};
        found.push({ name, namespace, ready: status?.numberReady ?? 0, containers });
      }
    },
  );
  return read.ok ? ok(found) : read;
};

const plugin = async (connection: Connection): Finding => {
  const sets = await daemonSets(connection);
  if (!sets.ok) return sets;
  const enforcing = enforcingPlugin(sets.value);
  if ('reason' in enforcing) return ok(enforcing.reason);
  const { name, namespace } = enforcing.plugin;
  if (name !== CILIUM) return ok(undefined);
  const read = await connection.call(
    `get configmaps ${CILIUM_CONFIG} in ${namespace}`,
    ({ core }) => core.readNamespacedConfigMap({ name: CILIUM_CONFIG, namespace }),
  );
  if (!read.ok) return read;
  const objection = ciliumObjection(read.value.data ?? {});
  const remedy = 'or set kubernetes.cniEnforces: true if that does not hold';
  return ok(objection === undefined ? undefined : `${objection}, ${remedy}`);
};

/** Whether there is one of these objects: a kind that is not served has none. */
const isThere = async (
  { call }: Connection,
  { group, version, plural }: (typeof OTHER_KINDS)[number],
  namespace: string | undefined,
): Promise<Result<boolean, ApiFault>> => {
  const kind = { group, version, plural, limit: 1 };
  const where = namespace === undefined ? 'the cluster' : namespace;
  const listed = await call(`list ${plural}.${group} in ${where}`, ({ custom }) =>
    namespace === undefined
      ? custom.listClusterCustomObject(kind)
      : custom.listNamespacedCustomObject({ ...kind, namespace }),
  );
  if (!listed.ok) return listed.error.status === NOT_FOUND ? ok(false) : listed;
  const { items } = listed.value as { readonly items?: readonly unknown[] };
  return ok((items ?? []).length > 0);
};

const otherKinds = async (connection: Connection, namespaces: readonly string[]): Finding => {
  const listed = await connection.call('list API groups', ({ groups }) => groups.getAPIVersions());
  if (!listed.ok) return listed;
  const served = new Set(listed.value.groups.map(({ name }) => name));
  for (const kind of OTHER_KINDS.filter(({ group }) => served.has(group))) {
    for (const namespace of kind.isNamespaced ? namespaces : [undefined]) {
      const found = await isThere(connection, kind, namespace);
      if (!found.ok) return found;
      if (!found.value) continue;
      const where = namespace === undefined ? '' : ` in ${namespace}`;
      return ok(
        `there are ${kind.plural}.${kind.group}${where}, which are judged beside NetworkPolicies: a policy of ours could open what they close; remove them or choose other namespaces`,
      );
    }
  }
  return ok(undefined);
};

const podsOf = async (
  { call }: Connection,
  namespace: string,
  { podLabels, clusterNetworks }: GroundOptions,
): Finding => {
  const labelSelector = Object.entries(podLabels)
    .map(([key, value]) => `${key}=${value}`)
    .join(',');
  const selected = { namespace, limit: PAGE, ...(labelSelector !== '' && { labelSelector }) };
  let objection: Objection;
  const read = await eachPage(
    (next) =>
      call(`list pods in ${namespace}`, ({ core }) =>
        core.listNamespacedPod({ ...selected, ...next }),
      ),
    (items) => {
      for (const { metadata, spec, status } of items) {
        const name = `${namespace}/${metadata?.name}`;
        if (spec?.hostNetwork === true) {
          objection ??= `pod ${name} is on the network of its node, where no NetworkPolicy reaches it; narrow kubernetes.podLabels`;
        }
        for (const { ip = '' } of status?.podIPs ?? []) {
          const address = parseIp(ip);
          if (address === undefined || clusterNetworks.some((one) => contains(one, address)))
            continue;
          objection ??= `pod ${name} has the address ${ip}, which lies in none of kubernetes.clusterNetworks: name the networks of pods, services and nodes there`;
        }
      }
    },
  );
  return read.ok ? ok(objection) : read;
};

/** Behind a Service that hides its clients every one of them has the address of a node. */
const hiddenIn = async (
  { call }: Connection,
  namespace: string,
  { podLabels }: GroundOptions,
): Finding => {
  let objection: Objection;
  const read = await eachPage(
    (next) =>
      call(`list services in ${namespace}`, ({ core }) =>
        core.listNamespacedService({ namespace, limit: PAGE, ...next }),
      ),
    (items) => {
      for (const { metadata, spec } of items) {
        const isOutward =
          spec?.type === 'LoadBalancer' ||
          spec?.type === 'NodePort' ||
          (spec?.externalIPs ?? []).length > 0;
        if (!isOutward || spec?.externalTrafficPolicy === 'Local') continue;
        if (!canMeet({ matchLabels: spec?.selector ?? {} }, { matchLabels: podLabels })) continue;
        objection ??= `Service ${namespace}/${metadata?.name} hides its clients from the pods (externalTrafficPolicy: Cluster): set Local, or kubernetes.sourcesPreserved: true if your network preserves them`;
      }
    },
  );
  return read.ok ? ok(objection) : read;
};

/** Everything that a policy of ours stands on; the first objection, in the order in which one would mend them. */
export const surveyGround = async (
  connection: Connection,
  options: GroundOptions,
): Promise<Result<Ground, ApiFault>> => {
  const { namespaces, cniEnforces, sourcesPreserved } = options;
  const looks: (() => Finding)[] = [
    ...(cniEnforces ? [] : [() => plugin(connection)]),
    () => otherKinds(connection, namespaces),
    ...namespaces.map((namespace) => () => podsOf(connection, namespace, options)),
  ];
  const hidden = new Map<string, string>();
  for (const look of looks) {
    const found = await look();
    if (!found.ok) return found;
    if (found.value !== undefined) return ok({ objection: found.value, hidden });
  }
  for (const namespace of sourcesPreserved ? [] : namespaces) {
    const found = await hiddenIn(connection, namespace, options);
    if (!found.ok) return found;
    if (found.value !== undefined) hidden.set(namespace, found.value);
  }
  return ok({ objection: undefined, hidden });
};
