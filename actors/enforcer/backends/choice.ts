import { unreachable } from '#proto/result.ts';
import type { Backend } from '../backend.ts';
import type { EnforcerConfig } from '../config.ts';
import { parseFailsafe } from '../failsafe.ts';
import { iptablesBackend } from './iptables.ts';
import { kubernetesBackend } from './kubernetes/backend.ts';
import { nftablesBackend } from './nftables.ts';
import { noopBackend } from './noop.ts';

/** The backend that a configuration names. */
export const backendOf = (
  config: Pick<
    EnforcerConfig,
    'backend' | 'failsafePorts' | 'netns' | 'firewallTimeoutMs' | 'instance' | 'kubernetes'
  >,
  now: () => number,
): Backend => {
  const options = {
    failsafe: config.failsafePorts.flatMap((text) => parseFailsafe(text) ?? []),
    netns: config.netns,
    timeoutMs: config.firewallTimeoutMs,
    now,
  };
  const { backend } = config;
  switch (backend) {
    case 'noop':
      return noopBackend();
    case 'nftables':
      return nftablesBackend(options);
    case 'iptables':
      return iptablesBackend(options);
    case 'kubernetes':
      return kubernetesBackend({ ...config.kubernetes, ...options, owner: config.instance });
    default:
      return unreachable(backend);
  }
};
