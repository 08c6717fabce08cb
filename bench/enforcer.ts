/**
 * Claim: elements and policies a second through the whole agent, and how long one policy takes: signature and proof
 * verified against the genesis, guardrails, in the kernel and read back, on the disk, acknowledged. The agent runs as in
 * a node, on a thread of its own; only the bus is one that has the policies in memory. Counted is from the moment at
 * which the bus puts a message with its proof into the agent's mailbox until it is handed the signed acknowledgement,
 * which the agent writes after the kernel has confirmed. Beside it one `nft` and one `iptables` process a rule.
 *
 *   node bench/enforcer.ts [policies]
 *
 * As root; everything happens in network namespaces that are made and removed here.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { crypto, writeKeyPair } from '#native/crypto.ts';
import { hex } from '#proto/bytes.ts';
import { configHash, encodeGenesis } from '#proto/genesis.ts';
import { encodeRecords } from '#runtime/bus/record.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { actor, testSystem } from '#test/kit/system.ts';
import { ACKED, counterBytes, FREE, NOT_APPLIED, openCounter } from './fixtures/policy-bus.ts';
import { markdown } from './kit/markdown.ts';
import { oneByOne } from './kit/one-by-one.ts';
import { benchGenesis, MIXES, type Mix, provenPolicies } from './kit/proven-policies.ts';
import { provenance } from './kit/provenance.ts';

const SINGLES = 100;
/** Between two that come alone. */
const PAUSE_MS = 30;
const countMax = Number(process.argv[2] ?? 20_000);
/** Policies of many elements are fewer. */
const ELEMENTS_MAX = 160_000;
/** The chain of the benchmark has a header each second. */
const BEHIND_MS = 60_000;

const withNamespace = async <T>(work: (netns: string) => Promise<T> | T): Promise<T> => {
  const netns = `cmbench${process.pid}`;
  execFileSync('ip', ['netns', 'add', netns]);
  try {
    return await work(netns);
  } finally {
    execFileSync('ip', ['netns', 'del', netns]);
  }
};

/** What the kernel holds, by its own word. */
const elementsIn = (netns: string): number => {
  const words = ['netns', 'exec', netns, 'nft', '-j', 'list', 'table', 'inet', 'cybermesh'];
  const maxBuffer = 1 << 28;
  const { nftables } = JSON.parse(execFileSync('ip', words, { encoding: 'utf8', maxBuffer })) as {
    readonly nftables: readonly { readonly set?: { readonly elem?: readonly unknown[] } }[];
  };
  return nftables.reduce((sum, { set }) => sum + (set?.elem?.length ?? 0), 0);
};

const agentOn = (folder: string, netns: string, mix: Mix, count: number) => {
  const genesis = benchGenesis(Date.now() - BEHIND_MS);
  const genesisFile = path.join(folder, 'genesis.json');
  writeFileSync(genesisFile, encodeGenesis(genesis));
  const records = provenPolicies(genesis, mix, count + SINGLES);
  const file = path.join(folder, 'policies');
  writeFileSync(file, encodeRecords(records));
  const key = path.join(folder, 'agent.pem');
  writeKeyPair(key);
  const memory = new SharedArrayBuffer(counterBytes(records.length));
  const counter = openCounter(memory);
  const node = {
    ...{ name: 'bench', dataDir: path.join(folder, 'data') },
    genesis: { file: genesisFile, sha256: hex(configHash(genesis, crypto)) },
    database: { url: 'embedded' },
  };
  const config = { backend: 'nftables', netns, key, perMinuteMax: 1e6, activeMax: 1e6 };
  const bus = actor('bus', new URL('./fixtures/policy-bus.ts', import.meta.url), {
    config: { memory, file },
  });
  const agent = actor('enforcer', new URL('../actors/enforcer/actor.ts', import.meta.url), {
    ...{ config, shutdownMs: 10_000 },
  });
  return { counter, node, children: [bus, agent] };
};

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]!;

const measure = async (mix: Mix): Promise<readonly (string | number)[]> => {
  const count = Math.min(countMax, ELEMENTS_MAX / mix.elements);
  const folder = temporaryFolder();
  try {
    return await withNamespace(async (netns) => {
      const { counter, node, children } = agentOn(folder.path, netns, mix, count);
      const { words, heardMs, ackedMs } = counter;
      const system = await testSystem(children, { node, dataDir: node.dataDir });
      const release = async (upTo: number): Promise<void> => {
        Atomics.store(words, FREE, upTo);
        await system.until(() => Atomics.load(words, ACKED) >= upTo, 120_000);
        if (Atomics.load(words, NOT_APPLIED) > 0) throw new Error('one is not applied');
      };
      try {
        await release(count);
        const ms = Math.max(...ackedMs.subarray(0, count)) - heardMs[0]!;
        const elements = elementsIn(netns);
        if (elements !== count * mix.elements) throw new Error(`${elements} are in the kernel`);
        for (let k = 0; k < SINGLES; k++) {
          await pause(PAUSE_MS);
          await release(count + k + 1);
        }
        const oneMs = Array.from({ length: SINGLES }, (_, k) => count + k)
          .map((at) => ackedMs[at]! - heardMs[at]!)
          .sort((a, b) => a - b);
        const cells = [(elements / ms) * 1000, (count / ms) * 1000].map(Math.round);
        const times = [0.5, 0.99].map((share) => quantile(oneMs, share).toFixed(1));
        return [mix.name, count, ...cells, times.join(' / ')];
      } finally {
        await system.end();
      }
    });
  } finally {
    folder.remove();
  }
};

console.log(`${provenance()}, load ${loadavg()[0]!.toFixed(0)}\n`);
const rows: (readonly (string | number)[])[] = [];
for (const mix of MIXES) rows.push(await measure(mix));
for (const [name, rate] of await withNamespace(oneByOne)) {
  rows.push([`baseline: one ${name} process a rule`, 100, Math.round(rate), Math.round(rate), '-']);
}
const head = ['', 'policies', 'elements/s', 'policies/s', 'one alone, ms (p50 / p99)'];
console.log(markdown(head, rows));
