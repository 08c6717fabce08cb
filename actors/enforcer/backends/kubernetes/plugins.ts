/** Network plugins that are known to enforce NetworkPolicy, by the DaemonSet that does it. Pure. */

/** Of a DaemonSet, what tells plugins apart. */
export type DaemonSet = {
  readonly name: string;
  readonly namespace: string;
  readonly ready: number;
  /** Names, commands and arguments of its containers. */
  readonly containers: readonly { readonly name: string; readonly words: readonly string[] }[];
};

/** Of a ConfigMap. */
export type Settings = { readonly [key: string]: string };

type Plugin = {
  readonly daemonSet: string;
  /** Why it does not enforce as it is set up. */
  readonly objection?: (set: DaemonSet) => string | undefined;
};

const PLUGINS: readonly Plugin[] = [
  { daemonSet: 'calico-node' },
  { daemonSet: 'canal' },
  { daemonSet: 'cilium' },
  { daemonSet: 'antrea-agent' },
  { daemonSet: 'ovnkube-node' },
  {
    daemonSet: 'kube-router',
    objection: ({ containers }) =>
      containers.some(({ words }) => words.includes('--run-firewall=false'))
        ? 'kube-router runs with --run-firewall=false'
        : undefined,
  },
  {
    daemonSet: 'weave-net',
    objection: ({ containers }) =>
      containers.some(({ name }) => name === 'weave-npc')
        ? undefined
        : 'weave-net runs without weave-npc',
  },
];

const REMEDY =
  'install a network plugin that enforces NetworkPolicy, or set kubernetes.cniEnforces: true if yours does';

export type Enforcing = { readonly plugin: DaemonSet } | { readonly reason: string };

/** The plugin that enforces, or why nobody is known to. One whose pods are nowhere ready does not count. */
export const enforcingPlugin = (sets: readonly DaemonSet[]): Enforcing => {
  const objections: string[] = [];
  for (const { daemonSet, objection } of PLUGINS) {
    for (const set of sets.filter(({ name }) => name === daemonSet)) {
      const why = set.ready === 0 ? `no pod of ${daemonSet} is ready` : objection?.(set);
      if (why === undefined) return { plugin: set };
      objections.push(why);
    }
  }
  const known = PLUGINS.map(({ daemonSet }) => daemonSet).join(', ');
  const found = objections.length > 0 ? objections.join('; ') : `none of ${known} runs here`;
  return { reason: `no network plugin is known to enforce NetworkPolicy: ${found}; ${REMEDY}` };
};

/** Cilium's ConfigMap. Its ipBlocks mean nodes only where it is told so: "everybody but one" would shut nodes out. */
export const CILIUM = 'cilium';
export const CILIUM_CONFIG = 'cilium-config';

export const ciliumObjection = (settings: Settings): string | undefined => {
  if (settings['enable-k8s-networkpolicy'] === 'false') {
    return 'cilium runs with enable-k8s-networkpolicy: false';
  }
  const mode = settings['enable-policy'] ?? 'default';
  if (mode === 'never') return 'cilium runs with enable-policy: never';
  if (mode === 'always') {
    return 'cilium runs with enable-policy: always: every pod is closed, and a policy of ours would open it';
  }
  const matched = (settings['policy-cidr-match-mode'] ?? '').split(/[\s,]+/);
  if (matched.includes('nodes')) return undefined;
  return 'cilium leaves nodes out of ipBlocks: our policies would shut them out; set policy-cidr-match-mode: nodes in cilium-config';
};

/** Policies in other words than NetworkPolicy; beside them ours would open what they close, or mean nothing. */
export const OTHER_KINDS: readonly {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly isNamespaced: boolean;
}[] = [
  { group: 'cilium.io', version: 'v2', plural: 'ciliumnetworkpolicies', isNamespaced: true },
  {
    group: 'cilium.io',
    version: 'v2',
    plural: 'ciliumclusterwidenetworkpolicies',
    isNamespaced: false,
  },
  {
    group: 'crd.projectcalico.org',
    version: 'v1',
    plural: 'networkpolicies',
    isNamespaced: true,
  },
  {
    group: 'crd.projectcalico.org',
    version: 'v1',
    plural: 'globalnetworkpolicies',
    isNamespaced: false,
  },
  { group: 'crd.antrea.io', version: 'v1beta1', plural: 'networkpolicies', isNamespaced: true },
  {
    group: 'crd.antrea.io',
    version: 'v1beta1',
    plural: 'clusternetworkpolicies',
    isNamespaced: false,
  },
  {
    group: 'policy.networking.k8s.io',
    version: 'v1alpha1',
    plural: 'adminnetworkpolicies',
    isNamespaced: false,
  },
  {
    group: 'policy.networking.k8s.io',
    version: 'v1alpha1',
    plural: 'baselineadminnetworkpolicies',
    isNamespaced: false,
  },
  {
    group: 'policy.networking.k8s.io',
    version: 'v1alpha2',
    plural: 'clusternetworkpolicies',
    isNamespaced: false,
  },
];
