/** The official client, told what it leaves open: deadlines, one connection instead of one a request, retries. */
import { existsSync } from 'node:fs';
import type {
  ApiException,
  ApisApi,
  AppsV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  NetworkingV1Api,
  RequestContext,
} from '@kubernetes/client-node';
import { err, ok, type Result } from '#proto/result.ts';
import type { Fault } from '../../backend.ts';
import { type ApiFault, answerFault, connectionFault } from './faults.ts';

export type ConnectionOptions = {
  /** File; '' for the account of the pod that this process runs in. */
  readonly kubeconfig: string;
  /** '' for the file's own. */
  readonly context: string;
  /** Of one call, its retries included. */
  readonly timeoutMs: number;
};

export type Clients = {
  readonly groups: ApisApi;
  readonly apps: AppsV1Api;
  readonly core: CoreV1Api;
  readonly custom: CustomObjectsApi;
  readonly networking: NetworkingV1Api;
};

export type Connection = {
  readonly call: <T>(
    what: string,
    work: (clients: Clients) => Promise<T>,
  ) => Promise<Result<T, ApiFault>>;
  readonly close: () => Promise<void>;
};

type Client = typeof import('@kubernetes/client-node');
type Dispatcher = NonNullable<ReturnType<RequestContext['getDispatcher']>>;

const ATTEMPTS_MAX = 5;
const ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';
/** JSON is YAML. */
const APPLY = 'application/apply-patch+yaml';

const bad = (reason: string): Result<never, Fault> => err({ code: 'bad-kubeconfig', reason });

/** The context that is meant; what is wrong with it is named here, not at the first call. */
const loaded = (
  { KubeConfig: Config }: Client,
  { kubeconfig, context }: ConnectionOptions,
): Result<KubeConfig, Fault> => {
  const config = new Config();
  if (kubeconfig === '') {
    if (!existsSync(ACCOUNT_TOKEN) || process.env.KUBERNETES_SERVICE_HOST === undefined) {
      return bad(
        `this process runs in no pod with a service account (${ACCOUNT_TOKEN}): name a file in kubernetes.kubeconfig`,
      );
    }
    config.loadFromCluster();
    return ok(config);
  }
  try {
    config.loadFromFile(kubeconfig);
  } catch (fault) {
    return bad(`${kubeconfig} cannot be read: ${(fault as Error).message.split('\n')[0]}`);
  }
  if (context !== '') config.setCurrentContext(context);
  if (config.getCurrentCluster() === null || config.getCurrentUser() === null) {
    const known = config.getContexts().map(({ name }) => name);
    return bad(
      `${kubeconfig} has no context "${config.getCurrentContext() ?? ''}" with a cluster and a user; it has ${known.join(', ') || 'none'}: set kubernetes.context`,
    );
  }
  return ok(config);
};

/** Every request: as an apply where it is a patch, with its deadline, over the connection of the one before. */
const requests = (timeoutMs: number) => {
  let dispatcher: Dispatcher | undefined;
  return {
    pre: async (context: RequestContext) => {
      if (context.getHttpMethod() === 'PATCH') context.setHeaderParam('Content-Type', APPLY);
      context.setSignal(AbortSignal.timeout(timeoutMs));
      // The client makes an agent a request; each would shake hands anew and keep its socket.
      dispatcher ??= context.getDispatcher();
      if (dispatcher !== undefined) context.setDispatcher(dispatcher);
      return context;
    },
    post: async <T>(context: T) => context,
    /** The next request takes the certificates as they are then. */
    forget: (): Promise<void> => {
      const old = dispatcher;
      dispatcher = undefined;
      return old?.destroy() ?? Promise.resolve();
    },
  };
};

const isAnswer = (error: unknown): error is ApiException<unknown> =>
  error instanceof Error && 'code' in error && 'headers' in error;

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** The library takes a second to load: only who needs it loads it. */
export const connect = async (options: ConnectionOptions): Promise<Result<Connection, Fault>> => {
  const client = await import('@kubernetes/client-node');
  const found = loaded(client, options);
  if (!found.ok) return found;
  const config = found.value;
  const { server } = config.getCurrentCluster()!;
  const { timeoutMs } = options;
  const middleware = requests(timeoutMs);
  const settings = client.createConfiguration({
    baseServer: new client.ServerConfiguration(server, {}),
    authMethods: { default: config },
    promiseMiddleware: [middleware],
  });
  const clients: Clients = {
    groups: new client.ApisApi(settings),
    apps: new client.AppsV1Api(settings),
    core: new client.CoreV1Api(settings),
    custom: new client.CustomObjectsApi(settings),
    networking: new client.NetworkingV1Api(settings),
  };
  const once = async <T>(what: string, work: (clients: Clients) => Promise<T>) => {
    try {
      return ok(await work(clients));
    } catch (error) {
      if (!isAnswer(error)) {
        await middleware.forget();
        return err(connectionFault(what, server, error));
      }
      const { code: status, body, headers } = error;
      // Certificates and tokens are read again.
      if (status === 401) await middleware.forget();
      return err(answerFault(what, { status, body, headers }));
    }
  };
  return ok({
    call: async (what, work) => {
      const endMs = performance.now() + timeoutMs;
      for (let attempt = 1; ; attempt++) {
        const done = await once(what, work);
        if (done.ok || done.error.retryMs === undefined || attempt === ATTEMPTS_MAX) return done;
        const waitMs = Math.max(done.error.retryMs, 1) * (done.error.status === 429 ? 1 : attempt);
        if (performance.now() + waitMs >= endMs) return done;
        await wait(waitMs);
      }
    },
    close: middleware.forget,
  });
};
