/**
 * Claim: at four validators a block is committed within 100 ms of its proposal at the median, without a view change.
 * The load: a campaign of scanners, each an incident of its own, as fast as the signer lets them out (100 a second).
 *
 *   node bench/commit.ts [scanners] [-o json]
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { campaign } from '#test/kit/campaign.ts';
import { discrepancies, runSource } from '#test/kit/capture-run.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { markdown } from './kit/markdown.ts';
import { provenance } from './kit/provenance.ts';

const RUN_S = 180;

const main = async (): Promise<void> => {
  const options = { o: { type: 'string', short: 'o' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const made = temporaryFolder('cybermesh-commit-');
  try {
    const file = path.join(made.path, 'campaign.pcap');
    writeFileSync(file, campaign(Number(positionals[0] ?? 1000)));
    const run = await runSource(`pcap:${file}`, { forS: RUN_S });
    const { consensus, latencyMs, stages } = run.report;
    const faults = discrepancies(run);
    const result = { stages, consensus, latencyMs, tookMs: Math.round(run.tookMs), faults };
    if (values.o === 'json') console.log(JSON.stringify({ at: provenance(), ...result }));
    else {
      const { blocks, viewChanges, commitLatencyMs } = consensus;
      const latencies = { 'proposal to commit': commitLatencyMs, ...latencyMs };
      const rows = Object.entries(latencies).map(([what, at]) => [
        what,
        at?.p50 ?? '-',
        at?.p99 ?? '-',
      ]);
      const { committed, policies, acked } = stages;
      const heights = `${consensus.height} heights (${blocks} blocks over all replicas)`;
      const sums = `${committed} anomalies, ${policies} policies, ${acked} acked, ${heights}`;
      console.log(
        `${provenance()}\n\n${sums}, ${viewChanges} view changes; ${faults.join('; ') || 'no faults'}\n`,
      );
      console.log(markdown(['latency', 'p50, ms', 'p99, ms'], rows));
    }
    if (faults.length > 0) process.exitCode = 1;
  } finally {
    made.remove();
  }
};

await main();
