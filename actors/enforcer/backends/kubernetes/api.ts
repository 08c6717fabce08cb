/** NetworkPolicies as they stand in the API, and the two ways in which we change them. */
import type { V1NetworkPolicy, V1NetworkPolicyPeer } from '@kubernetes/client-node';
import { err, ok, type Result } from '#proto/result.ts';
import type { Connection } from './connection.ts';
import type { ApiFault } from './faults.ts';
import {
  type Body,
  fieldManager,
  type Peer,
  type PortRule,
  type Rule,
  type Spec,
} from './objects.ts';
import type { Selector } from './selectors.ts';
import type { Seen } from './steps.ts';

const PAGE = 500;
const GONE = 410;
const NOT_FOUND = 404;

const peerOf = ({ ipBlock, namespaceSelector, podSelector }: V1NetworkPolicyPeer): Peer => ({
  ...(ipBlock !== undefined && {
    ipBlock: {
      cidr: ipBlock.cidr,
      ...((ipBlock.except ?? []).length > 0 && { except: ipBlock.except! }),
    },
  }),
  ...(namespaceSelector !== undefined && { namespaceSelector: selectorOf(namespaceSelector) }),
  ...(podSelector !== undefined && { podSelector: selectorOf(podSelector) }),
});

const selectorOf = (selector: Selector | undefined): Selector => ({
  ...(Object.keys(selector?.matchLabels ?? {}).length > 0 && {
    matchLabels: selector!.matchLabels!,
  }),
  ...((selector?.matchExpressions ?? []).length > 0 && {
    matchExpressions: selector!.matchExpressions!.map(({ key, operator, values }) => ({
      key,
      operator,
      ...(values !== undefined && { values }),
    })),
  }),
});

const portsOf = (ports: readonly PortRule[] | undefined): Pick<Rule, 'ports'> =>
  (ports ?? []).length === 0
    ? {}
    : {
        ports: ports!.map(({ protocol, port, endPort }) => ({
          ...(protocol !== undefined && { protocol }),
          ...(port !== undefined && { port }),
          ...(endPort !== undefined && { endPort }),
        })),
      };

/** In the words of the API, without what it leaves out when it is empty. */
const specOf = ({ spec }: V1NetworkPolicy): Spec => {
  const { podSelector, policyTypes, ingress = [], egress = [] } = spec ?? {};
  const peers = (list: readonly V1NetworkPolicyPeer[] | undefined, key: 'from' | 'to'): Rule =>
    (list ?? []).length === 0 ? {} : { [key]: list!.map(peerOf) };
  return {
    podSelector: selectorOf(podSelector),
    ...(policyTypes !== undefined && { policyTypes }),
    ...(ingress.length > 0 && {
      ingress: ingress.map(({ _from, ports }) => ({ ...peers(_from, 'from'), ...portsOf(ports) })),
    }),
    ...(egress.length > 0 && {
      egress: egress.map(({ to, ports }) => ({ ...peers(to, 'to'), ...portsOf(ports) })),
    }),
  };
};

const seenOf = (policy: V1NetworkPolicy): Seen => {
  const { metadata } = policy;
  return {
    name: metadata?.name ?? '',
    namespace: metadata?.namespace ?? '',
    uid: metadata?.uid ?? '',
    resourceVersion: metadata?.resourceVersion ?? '',
    labels: metadata?.labels ?? {},
    annotations: metadata?.annotations ?? {},
    spec: specOf(policy),
    managers: (metadata?.managedFields ?? []).flatMap(({ manager }) => manager ?? []),
  };
};

export type Writing = {
  /** The server does everything but keep it. */
  readonly dryRun: boolean;
  /** What stands there and is ours: its fields are taken back from whoever took them. */
  readonly over: Seen | undefined;
};

export const policyApi = ({ call }: Connection, owner: string) => {
  /** Of a namespace, all of them; what begins anew in between is read anew, once. */
  const list = async (
    namespace: string,
    isAgain = false,
  ): Promise<Result<readonly Seen[], ApiFault>> => {
    const found: Seen[] = [];
    let next: string | undefined;
    do {
      const page = { namespace, limit: PAGE, ...(next !== undefined && { _continue: next }) };
      const listed = await call(`list networkpolicies in ${namespace}`, ({ networking }) =>
        networking.listNamespacedNetworkPolicy(page),
      );
      if (!listed.ok) {
        return listed.error.status === GONE && !isAgain ? list(namespace, true) : listed;
      }
      found.push(...listed.value.items.map(seenOf));
      next = listed.value.metadata?._continue;
    } while (next !== undefined && next !== '');
    return ok(found);
  };
  const patch = (body: Body, dryRun: boolean, forced: Seen | undefined) => {
    const { name, namespace } = body.metadata;
    const { uid, resourceVersion } = forced ?? {};
    const exactly = { ...body.metadata, ...(forced !== undefined && { uid, resourceVersion }) };
    return call(`patch networkpolicies ${name} in ${namespace}`, ({ networking }) =>
      networking.patchNamespacedNetworkPolicy({
        name,
        namespace,
        body: { ...body, metadata: exactly },
        fieldManager: fieldManager(owner),
        force: forced !== undefined,
        fieldValidation: 'Strict',
        ...(dryRun && { dryRun: 'All' }),
      }),
    );
  };
  return {
    list,
    /** Without force first; by force only over what was seen to be ours, and only while it is that very object. */
    apply: async (body: Body, { dryRun, over }: Writing): Promise<Result<void, ApiFault>> => {
      const done = await patch(body, dryRun, undefined);
      if (done.ok) return ok(undefined);
      if (!done.error.isOwned || over === undefined) return done;
      const forced = await patch(body, dryRun, over);
      return forced.ok ? ok(undefined) : forced;
    },
    /** That very object, not another of its name. Gone already is gone. */
    remove: async (
      { name, namespace, uid }: Pick<Seen, 'name' | 'namespace' | 'uid'>,
      dryRun = false,
    ): Promise<Result<void, ApiFault>> => {
      const preconditions = uid === '' ? undefined : { uid };
      const done = await call(`delete networkpolicies ${name} in ${namespace}`, ({ networking }) =>
        networking.deleteNamespacedNetworkPolicy({
          name,
          namespace,
          ...(dryRun && { dryRun: 'All' }),
          ...(preconditions !== undefined && { body: { preconditions } }),
        }),
      );
      if (done.ok || done.error.status === NOT_FOUND) return ok(undefined);
      return err(done.error);
    },
  };
};

export type PolicyApi = ReturnType<typeof policyApi>;
