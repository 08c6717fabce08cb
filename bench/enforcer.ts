/**
 * Claim: policies a second through the whole agent: proof verified, in the kernel and read back, on the disk,
 * acknowledged and signed; and how long one alone takes for that.
 *
 *   node bench/enforcer.ts [policies]
 *
 * As root; the firewall is that of a network namespace which is made and removed here.
 */
import { execFileSync } from 'node:child_process';
import { loadavg } from 'node:os';
import path from 'node:path';
import { writeKeyPair } from '#native/crypto.ts';
import { committedBlock, updateOf } from '#test/actors/enforcer/policies.ts';
import { agentIn } from '#test/integration/firewall/agent.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { provenance } from './kit/provenance.ts';

/** What one fetch of the bus brings. */
const BATCH = 256;
const BLOCK = 500;
const SINGLES = 100;
const count = Number(process.argv[2] ?? 5000);
const netns = `cmbench${process.pid}`;
const genesis = testGenesis({ policiesPerMinuteMax: 100_000, activePoliciesMax: 100_000 }, []);
const folder = temporaryFolder();
const keyFile = path.join(folder.path, 'agent.pem');
writeKeyPair(keyFile);

const blocks = Array.from({ length: Math.ceil(count / BLOCK) }, (_, k) =>
  committedBlock(genesis, BLOCK, `10.${k}`),
);
const policies = blocks.flat();
const offsetMs = policies[0]!.state.committedMs - Date.now();
const now = (): number => Date.now() + offsetMs;
const updates = policies.map((policy) => updateOf(policy));
const singles = committedBlock(genesis, SINGLES, '10.250').map((policy) => updateOf(policy));

console.log(`${provenance()}, load ${loadavg()[0]!.toFixed(0)}`);
execFileSync('ip', ['netns', 'add', netns]);
try {
  const settings = { perMinuteMax: 100_000, activeMax: 100_000 };
  const begin = () => agentIn({ dataDir: folder.path, genesis, keyFile, netns, now, settings });
  const agent = await begin();
  const beganMs = performance.now();
  for (let k = 0; k < updates.length; k += BATCH)
    await agent.receive(...updates.slice(k, k + BATCH));
  const ms = performance.now() - beganMs;
  const acks = agent.acks();
  if (acks.some((one) => one !== 'applied')) throw new Error(acks.find((one) => one !== 'applied'));
  console.log(
    `${acks.length} policies proven, in force, stored and acknowledged in ${ms.toFixed(0)} ms`,
  );
  console.log(`  ${Math.round((acks.length / ms) * 1000)}/s`);
  const oneMs: number[] = [];
  for (const update of singles) {
    const thenMs = performance.now();
    await agent.receive(update);
    oneMs.push(performance.now() - thenMs);
  }
  if (agent.acks().some((one) => one !== 'applied')) throw new Error('one is not applied');
  oneMs.sort((a, b) => a - b);
  console.log(
    `  one more, from its message to its acknowledgement, p50 / p99: ${oneMs[SINGLES / 2]!.toFixed(1)} / ${oneMs.at(-2)!.toFixed(1)} ms`,
  );
  await agent.close();
  execFileSync('ip', ['netns', 'exec', netns, 'nft', 'flush', 'ruleset']);
  const againMs = performance.now();
  const again = await begin();
  console.log(`  started again, all in force: ${(performance.now() - againMs).toFixed(0)} ms`);
  await again.close();
} finally {
  execFileSync('ip', ['netns', 'del', netns]);
  folder.remove();
}
