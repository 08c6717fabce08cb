/** An agent that is to be killed: writes and removes policies without end. Arguments: kubeconfig. */
import { kubernetesBackend } from '#actors/enforcer/backends/kubernetes/backend.ts';
import { entryOf, writeOnAndOn } from '../firewall/backends.ts';

const [, , kubeconfig = ''] = process.argv;
const backend = kubernetesBackend({
  kubeconfig,
  context: '',
  timeoutMs: 20_000,
  owner: 'agent-1',
  podLabels: { app: 'web' },
  failsafe: [],
  namespaces: ['web'],
  clusterNetworks: ['10.244.0.0/16'],
  cniEnforces: true,
  sourcesPreserved: false,
  exceptionsMax: 20_000,
  now: () => Date.now(),
});
/** From one object to several and back. */
const batchOf = (batch: number) =>
  Array.from({ length: batch % 2 === 0 ? 2500 : 20 }, (_, k) =>
    entryOf({
      target: {
        ips: [`100.${64 + (batch % 8)}.${k >> 6}.${(k & 63) * 2}`],
        direction: k % 2 === 0 ? 'ingress' : 'egress',
      },
    }),
  );
await writeOnAndOn(backend, batchOf);
