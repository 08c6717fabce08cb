/** A stateful API server for what the agent asks of one: NetworkPolicies in full, the rest as it is set. */
import { readFileSync, writeFileSync } from 'node:fs';
import {
  createServer as createHttp,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { parse, stringify } from 'yaml';
import { type Labels, type Selector, selects } from './semantics.ts';
import { type Outcome, type PolicyStore, policyStore, type Refusal } from './store.ts';

export type Asked = {
  readonly verb: 'get' | 'list' | 'create' | 'patch' | 'delete';
  readonly resource: string;
  /** '' for the cluster. */
  readonly namespace: string;
  readonly name: string;
  readonly query: URLSearchParams;
  readonly body: string;
};

/** What stands in a test's way of answering. */
export type Fault =
  | (Partial<Refusal> & { readonly status: number; readonly retryAfterS?: number })
  | 'reset'
  | 'hang';

export type PodObject = {
  readonly name: string;
  readonly namespace: string;
  readonly labels: Labels;
  readonly ips: readonly string[];
  readonly hostNetwork?: boolean;
};

export type Cluster = {
  /** Namespaces that there are. */
  namespaces: string[];
  daemonSets: {
    name: string;
    namespace: string;
    ready: number;
    args?: string[];
    containers?: string[];
  }[];
  /** By namespace/name. */
  configMaps: Record<string, Record<string, string>>;
  pods: PodObject[];
  services: {
    name: string;
    namespace: string;
    type: string;
    selector: Labels;
    policy?: string;
    ips?: string[];
  }[];
  /** By group/plural: how many there are; a group that is not here is not served. */
  others: Record<string, number>;
};

export type FakeApi = {
  readonly url: string;
  readonly cluster: Cluster;
  readonly policies: PolicyStore;
  /** Every request, in order. */
  readonly asked: Asked[];
  /** Called before each request is answered. */
  before: (asked: Asked) => Fault | undefined;
  /** What the token may do. */
  may: (asked: Asked) => boolean;
  token: string;
  /** Writes a kubeconfig for it; returns the file. */
  readonly kubeconfig: (folder: string, over?: KubeconfigOver) => string;
  /** How many there were. */
  readonly connections: () => number;
  readonly close: () => Promise<void>;
};

type KubeconfigOver = {
  readonly token?: string;
  readonly ca?: string;
  readonly server?: string;
  readonly context?: string;
};

export type FakeOptions = {
  /** PEM file with key and certificate; HTTP without it. */
  readonly keystore?: string;
  /** PEM file of the authority, for the kubeconfig. */
  readonly ca?: string;
};

const BODY_BYTES_MAX = 3 * 1024 * 1024;

const status = ({ status: code, reason = '', message = '', causes = [] }: Refusal): object => ({
  kind: 'Status',
  apiVersion: 'v1',
  metadata: {},
  status: 'Failure',
  message,
  reason,
  details: { causes },
  code,
});

/** /apis/apps/v1/namespaces/x/daemonsets/y, with or without namespace and name. */
const askedFor = (request: IncomingMessage, body: string): Asked => {
  const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://fake');
  const words = pathname.split('/').filter((word) => word !== '');
  const rest = words.slice(words[0] === 'api' ? 2 : 3);
  const isSpaced = rest[0] === 'namespaces';
  const [kind = '', name = ''] = isSpaced ? rest.slice(2) : rest;
  const group = words[0] === 'api' ? '' : (words[1] ?? '');
  const method = request.method ?? 'GET';
  const reading = name === '' ? 'list' : 'get';
  const verb = method === 'PATCH' ? 'patch' : method === 'DELETE' ? 'delete' : reading;
  const resource = words.length === 1 ? words[0]! : group === '' ? kind : `${group}/${kind}`;
  return { verb, resource, namespace: isSpaced ? (rest[1] ?? '') : '', name, query, body };
};

const selectorOf = (text: string): Selector => ({
  matchLabels: Object.fromEntries(
    text
      .split(',')
      .filter((one) => one !== '')
      .map((one) => one.split('=') as [string, string]),
  ),
});

/** A page of a list; `continue` is the index at which the next one begins. */
const page = (items: readonly object[], { query }: Asked, version: string): object => {
  const from = Number(query.get('continue') ?? 0);
  const to = from + Number(query.get('limit') ?? items.length);
  const next = to < items.length ? { continue: `${to}` } : {};
  return {
    kind: 'List',
    metadata: { resourceVersion: version, ...next },
    items: items.slice(from, to),
  };
};

const NETWORK_POLICIES = 'networking.k8s.io/networkpolicies';

const answerPolicies = (api: FakeApi, asked: Asked, contentType: string): Outcome | object => {
  const { policies } = api;
  const { verb, namespace, name, query, body } = asked;
  if (verb === 'list') {
    const selector = selectorOf(query.get('labelSelector') ?? '');
    const found = policies
      .list(namespace)
      .filter(({ metadata }) => selects(selector, metadata.labels ?? {}));
    return page(found, asked, policies.version());
  }
  const isDry = query.get('dryRun') === 'All';
  if (verb === 'delete') {
    const { preconditions = {} } = body === '' ? {} : JSON.parse(body);
    return policies.remove(namespace, name, preconditions, isDry);
  }
  if (contentType !== 'application/apply-patch+yaml') {
    const message = 'the body of the request was in an unknown format';
    return { refusal: { status: 415, reason: 'UnsupportedMediaType', message } };
  }
  const manager = query.get('fieldManager') ?? '';
  if (manager === '') {
    const message = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value';
    return { refusal: { status: 422, reason: 'Invalid', message } };
  }
  const isForced = query.get('force') === 'true';
  const mayCreate = api.may({ ...asked, verb: 'create' });
  const how = { manager, isForced, isDry, mayCreate };
  return policies.apply(namespace, name, parse(body), how);
};

const daemonSetOf = ({
  name,
  namespace,
  ready,
  args = [],
  containers = [name],
}: Cluster['daemonSets'][number]) => ({
  metadata: { name, namespace },
  spec: {
    selector: {},
    template: { spec: { containers: containers.map((one) => ({ name: one, args })) } },
  },
  status: { numberReady: ready, desiredNumberScheduled: ready },
});

const podOf = ({ name, namespace, labels, ips, hostNetwork }: PodObject) => ({
  metadata: { name, namespace, labels },
  spec: { hostNetwork, containers: [] },
  status: { podIPs: ips.map((ip) => ({ ip })) },
});

const serviceOf = (service: Cluster['services'][number]) => ({
  metadata: { name: service.name, namespace: service.namespace },
  spec: {
    type: service.type,
    selector: service.selector,
    externalTrafficPolicy: service.policy,
    externalIPs: service.ips,
  },
});

const absent = ({ resource, name }: Asked): { refusal: Refusal } => ({
  refusal: { status: 404, reason: 'NotFound', message: `${resource} "${name}" not found` },
});

const answerRest = ({ cluster }: FakeApi, asked: Asked): object => {
  const { resource, namespace, name, query } = asked;
  if (resource === 'apis') {
    const groups = Object.keys(cluster.others).map((key) => key.split('/')[0]!);
    const version = { groupVersion: 'x/v1', version: 'v1' };
    const kinds = [...new Set(['apps', 'networking.k8s.io', ...groups])];
    return {
      kind: 'APIGroupList',
      groups: kinds.map((one) => ({ name: one, versions: [version], preferredVersion: version })),
    };
  }
  if (resource === 'apps/daemonsets') return page(cluster.daemonSets.map(daemonSetOf), asked, '1');
  if (resource === 'configmaps') {
    const data = cluster.configMaps[`${namespace}/${name}`];
    return data === undefined ? absent(asked) : { metadata: { name, namespace }, data };
  }
  if (resource === 'pods') {
    const selector = selectorOf(query.get('labelSelector') ?? '');
    const found = cluster.pods.filter(
      (pod) => pod.namespace === namespace && selects(selector, pod.labels),
    );
    return page(found.map(podOf), asked, '1');
  }
  if (resource === 'services') {
    const found = cluster.services.filter((one) => one.namespace === namespace);
    return page(found.map(serviceOf), asked, '1');
  }
  const count = cluster.others[resource];
  return count === undefined ? absent(asked) : page(Array(count).fill({}), asked, '1');
};

const send = (response: ServerResponse, code: number, body: object, afterS?: number): void => {
  const after = afterS === undefined ? {} : { 'retry-after': `${afterS}` };
  response.writeHead(code, { 'content-type': 'application/json', ...after });
  response.end(JSON.stringify(body));
};

const refuse = (response: ServerResponse, refusal: Refusal & { retryAfterS?: number }): void =>
  send(response, refusal.status, status(refusal), refusal.retryAfterS);

const forbidden = ({ verb, resource, namespace }: Asked): Refusal => {
  const [group, kind] = resource.includes('/') ? resource.split('/') : ['', resource];
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`;
  const message = `${kind}.${group} is forbidden: User "agent" cannot ${verb} resource "${kind}" in API group "${group}" ${where}`;
  return { status: 403, reason: 'Forbidden', message };
};

const answer = (api: FakeApi, request: IncomingMessage, body: string, response: ServerResponse) => {
  const asked = askedFor(request, body);
  api.asked.push(asked);
  const fault = api.before(asked);
  if (fault === 'hang') return;
  if (fault === 'reset') return void request.socket.destroy();
  if (fault !== undefined) return refuse(response, { reason: '', message: '', ...fault });
  if (request.headers.authorization !== `Bearer ${api.token}`) {
    return refuse(response, { status: 401, reason: 'Unauthorized', message: 'Unauthorized' });
  }
  if (!api.may(asked)) return refuse(response, forbidden(asked));
  if (body.length > BODY_BYTES_MAX) {
    const message = 'Request entity too large: limit is 3145728';
    return refuse(response, { status: 413, reason: 'RequestEntityTooLarge', message });
  }
  const answered =
    asked.resource === NETWORK_POLICIES
      ? answerPolicies(api, asked, request.headers['content-type'] ?? '')
      : answerRest(api, asked);
  if ('refusal' in answered) return refuse(response, (answered as { refusal: Refusal }).refusal);
  if (!('policy' in answered)) return send(response, 200, answered);
  const { policy, isNew } = answered as Extract<Outcome, { policy: unknown }>;
  send(
    response,
    isNew ? 201 : 200,
    asked.verb === 'delete' ? { kind: 'Status', status: 'Success' } : policy,
  );
};

const kubeconfigOf =
  (api: FakeApi, options: FakeOptions) =>
  (folder: string, over: KubeconfigOver = {}): string => {
    const file = path.join(folder, 'kubeconfig.yaml');
    const ca = over.ca ?? options.ca;
    const trust =
      ca === undefined ? { 'insecure-skip-tls-verify': true } : { 'certificate-authority': ca };
    const text = stringify({
      apiVersion: 'v1',
      kind: 'Config',
      'current-context': over.context ?? 'fake',
      clusters: [{ name: 'fake', cluster: { server: over.server ?? api.url, ...trust } }],
      users: [{ name: 'agent', user: { token: over.token ?? api.token } }],
      contexts: [{ name: 'fake', context: { cluster: 'fake', user: 'agent' } }],
    });
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  };

const listen = (keystore: string | undefined, listener: RequestListener): Server => {
  const pem = keystore === undefined ? '' : readFileSync(keystore);
  return keystore === undefined
    ? createHttp(listener)
    : createHttps({ key: pem, cert: pem }, listener);
};

export const startFakeApi = async (options: FakeOptions = {}): Promise<FakeApi> => {
  const cluster: Cluster = {
    namespaces: ['web'],
    daemonSets: [{ name: 'calico-node', namespace: 'kube-system', ready: 3 }],
    configMaps: {},
    pods: [{ name: 'web-0', namespace: 'web', labels: { app: 'web' }, ips: ['10.244.0.5'] }],
    services: [{ name: 'web', namespace: 'web', type: 'ClusterIP', selector: { app: 'web' } }],
    others: {},
  };
  const server = listen(options.keystore, (request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => answer(api, request, Buffer.concat(chunks).toString(), response));
  });
  let connections = 0;
  server.on(options.keystore === undefined ? 'connection' : 'secureConnection', () => {
    connections++;
  });
  server.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  const { port } = server.address() as AddressInfo;
  const api: FakeApi = {
    url: `${options.keystore === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    cluster,
    policies: policyStore(cluster.namespaces),
    asked: [],
    before: () => undefined,
    may: () => true,
    token: 'token-of-the-agent',
    kubeconfig: (folder, over) => kubeconfigOf(api, options)(folder, over),
    connections: () => connections,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return api;
};
