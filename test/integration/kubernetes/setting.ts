/** A fake API server with one namespace to protect, and backends that speak to it through the real client. */
import type { Applied, Backend } from '#actors/enforcer/backend.ts';
import {
  type KubernetesOptions,
  kubernetesBackend,
} from '#actors/enforcer/backends/kubernetes/backend.ts';
import { type Flow, passes } from '#test/kit/kubernetes/semantics.ts';
import { type FakeApi, type FakeOptions, startFakeApi } from '#test/kit/kubernetes/server.ts';
import { temporaryFolder } from '#test/kit/processes.ts';

export const WEB = { namespace: 'web', labels: { app: 'web', tier: 'front' } };
export const CLUSTER_NETWORKS = ['10.244.0.0/16', '10.96.0.0/12', '192.168.77.0/24', 'fd00::/8'];
export const FAILSAFE_PORT = 2222;

export type Setting = {
  readonly api: FakeApi;
  readonly folder: string;
  readonly backend: (over?: Partial<KubernetesOptions>) => Backend;
  /** Whether a connection comes about: TCP to port 80 of a web pod unless said otherwise. */
  readonly reaches: (peer: Flow['peer'], over?: Partial<Flow>) => boolean;
  /** Names of policies, sorted. */
  readonly names: () => readonly string[];
  readonly close: () => Promise<void>;
};

export const setting = async (options: FakeOptions = {}): Promise<Setting> => {
  const api = await startFakeApi(options);
  const { path: folder, remove } = temporaryFolder('cybermesh-kubernetes-');
  const opened: Backend[] = [];
  return {
    api,
    folder,
    backend: (over = {}) => {
      const made = kubernetesBackend({
        kubeconfig: over.kubeconfig ?? api.kubeconfig(folder),
        context: '',
        timeoutMs: 20_000,
        owner: 'agent-1',
        podLabels: { app: 'web' },
        failsafe: [{ protocol: 'tcp', from: FAILSAFE_PORT, to: FAILSAFE_PORT }],
        namespaces: ['web'],
        clusterNetworks: CLUSTER_NETWORKS,
        cniEnforces: false,
        sourcesPreserved: false,
        exceptionsMax: 20_000,
        now: () => Date.now(),
        ...over,
      });
      opened.push(made);
      return made;
    },
    reaches: (peer, over = {}) =>
      passes(api.policies.list(), {
        pod: WEB,
        direction: 'in',
        peer,
        protocol: 'TCP',
        port: 80,
        ...over,
      }),
    names: () => api.policies.list().map(({ metadata }) => metadata.name),
    close: async () => {
      for (const backend of opened) await backend.close();
      await api.close();
      remove();
    },
  };
};

/** `applied`, with how; or the code of the failure. */
export const codes = (outcomes: readonly Applied[]): readonly string[] =>
  outcomes.map((one) => (one.ok ? `applied ${one.reason}`.trim() : one.code));

export const reasonOf = (outcome: Applied | undefined): string => outcome?.reason ?? '';

/** Someone else's policy. */
export const stranger = (spec: object) => ({ metadata: {}, spec });
