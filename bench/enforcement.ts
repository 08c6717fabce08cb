/**
 * Claim: elements a second from policies to verified elements in the kernel, restore of all in one transaction,
 * and the latency of one more policy; beside one `nft` and one `iptables` process a rule.
 *
 *   node bench/enforcement.ts [policies]
 *
 * As root; everything happens in a network namespace that is made and removed here.
 */
import { execFileSync } from 'node:child_process';
import { loadavg } from 'node:os';
import type { Backend } from '#actors/enforcer/backend.ts';
import { iptablesBackend } from '#actors/enforcer/backends/iptables.ts';
import { nftablesBackend } from '#actors/enforcer/backends/nftables.ts';
import type { FirewallOptions } from '#actors/enforcer/backends/set-backend.ts';
import type { Entry } from '#actors/enforcer/registry.ts';
import type { PolicyRule } from '#proto/policy.ts';
import { oneByOne } from './kit/one-by-one.ts';
import { provenance } from './kit/provenance.ts';

/** What one fetch of the bus brings. */
const BATCH = 256;
const SINGLES = 100;
const TTL_MS = 3_600_000;
const count = Number(process.argv[2] ?? 10_000);
const netns = `cmbench${process.pid}`;
const now = (): number => Date.now();
const options: FirewallOptions = { failsafe: [], netns, timeoutMs: 120_000, now };

const host = (k: number): string => `10.${(k >> 16) & 255}.${(k >> 8) & 255}.${k & 255}`;

type Mix = { readonly name: string; readonly target: (k: number) => PolicyRule['target'] };
const MIXES: readonly Mix[] = [
  { name: 'hosts', target: (k) => ({ ips: [host(k)], direction: 'ingress' }) },
  {
    name: 'four fifths hosts, a tenth networks (nested), a tenth ports',
    target: (k) => {
      if (k % 10 === 0) return { cidrs: [`${host(k * 64)}/${22 + (k % 9)}`], direction: 'ingress' };
      if (k % 10 === 1) return { ips: [host(k)], direction: 'ingress', ports: [80 + (k % 100)] };
      return { ips: [host(k)], direction: 'ingress' };
    },
  },
];

const entryOf = (id: string, target: PolicyRule['target']): Entry => ({
  id,
  rule: {
    policy_id: id,
    rule_type: 'block',
    action: 'drop',
    target,
    guardrails: { ttl_seconds: TTL_MS / 1000 },
  },
  ruleHash: '',
  committedMs: now(),
  expiresMs: now() + TTL_MS,
  anomaly: '',
  anchorHeight: 1,
  height: 1,
  anchorHash: '',
  status: 'pending',
  reason: '',
  appliedAtMs: 0,
  endedAtMs: 0,
  turn: 0,
});

const timed = async (work: () => Promise<unknown> | unknown): Promise<number> => {
  const beganMs = performance.now();
  await work();
  return performance.now() - beganMs;
};

const change = async (backend: Backend, entries: readonly Entry[], gone: readonly string[]) => {
  const outcomes = await backend.change(entries, gone, now());
  const refused = outcomes.find((one) => !one.ok);
  if (refused !== undefined) throw new Error(JSON.stringify(refused));
};

const batches = <T>(all: readonly T[]): T[][] =>
  Array.from({ length: Math.ceil(all.length / BATCH) }, (_, k) =>
    all.slice(k * BATCH, (k + 1) * BATCH),
  );

const perSecond = (n: number, ms: number): string => `${Math.round((n / ms) * 1000)}/s`;

const measure = async (make: (one: FirewallOptions) => Backend, mix: Mix): Promise<void> => {
  const backend = make(options);
  const entries = Array.from({ length: count }, (_, k) => entryOf(`p${k}`, mix.target(k)));
  await backend.restore([], now());
  const appliedMs = await timed(async () => {
    for (const batch of batches(entries)) await change(backend, batch, []);
  });
  const listedMs = await timed(async () => {
    const census = await backend.census(now());
    if (!census.ok || census.value.ids.size !== count) throw new Error('not all are in force');
  });
  const oneMs: number[] = [];
  for (let k = 0; k < SINGLES; k++) {
    const entry = entryOf(`one${k}`, { ips: [`192.0.2.${k}`], direction: 'ingress' });
    oneMs.push(await timed(() => change(backend, [entry], [])));
  }
  oneMs.sort((a, b) => a - b);
  const restoredMs = await timed(async () => {
    const outcomes = await make(options).restore(entries, now());
    if (outcomes.some((one) => !one.ok)) throw new Error('not all are restored');
  });
  await backend.restore(entries, now());
  const removedMs = await timed(async () => {
    for (const batch of batches(entries))
      await change(
        backend,
        [],
        batch.map((one) => one.id),
      );
  });
  console.log(`${backend.name}, ${count} policies: ${mix.name}`);
  console.log(`  applied in batches of ${BATCH}, read back   ${perSecond(count, appliedMs)}`);
  console.log(
    `  restored whole, read back             ${restoredMs.toFixed(0)} ms (${perSecond(count, restoredMs)})`,
  );
  console.log(`  listed and compared                   ${listedMs.toFixed(0)} ms`);
  console.log(`  removed in batches                    ${perSecond(count, removedMs)}`);
  console.log(
    `  one more policy, p50 / p99            ${oneMs[SINGLES / 2]!.toFixed(1)} / ${oneMs.at(-2)!.toFixed(1)} ms`,
  );
  await backend.clear();
};

console.log(`${provenance()}, load ${loadavg()[0]!.toFixed(0)}`);
execFileSync('ip', ['netns', 'add', netns]);
try {
  for (const mix of MIXES) await measure(nftablesBackend, mix);
  await measure(iptablesBackend, MIXES[0]!);
  for (const [name, rate] of oneByOne(netns)) {
    console.log(`one ${name} process a rule: ${Math.round(rate)}/s`);
  }
} finally {
  execFileSync('ip', ['netns', 'del', netns]);
}
