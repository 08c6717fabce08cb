/**
 * Claim: at four validators a block is committed within 100 ms of its proposal at the median, without a view change.
 * Two loads: the traffic of `npm start` for 40 s, and a campaign of scanners, each an incident of its own, as fast as
 * the signer lets them out (100 a second). As root some scanners more, two a second, with nftables in a network namespace
 * that is made and removed here: how long it takes from the commit, and from the agent's mailbox, into the kernel.
 *
 *   node bench/commit.ts [scanners] [-o json]
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { Report } from '#runtime/metrics/report.ts';
import { campaign } from '#test/kit/campaign.ts';
import { discrepancies, runSource } from '#test/kit/capture-run.ts';
import { isRoot } from '#test/kit/namespaces.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { hasPrograms } from '#test/kit/programs.ts';
import { markdown } from './kit/markdown.ts';
import { provenance } from './kit/provenance.ts';

const CAMPAIGN_S = 180;
const SYNTHETIC_S = 40;
const ONE_BY_ONE = 60;
const ONE_BY_ONE_A_SECOND = 2;

type Load = { readonly load: string; readonly report: Report; readonly faults: readonly string[] };

const synthetic = async (): Promise<Load> => {
  const { report } = await runSource('synthetic', { forS: SYNTHETIC_S });
  // It ends in the middle of what it does: nothing adds up that is still on its way.
  return { load: `synthetic, ${SYNTHETIC_S} s`, report, faults: [] };
};

const campaigned = async (
  scanners: number,
  { set = [], how = '' }: { readonly set?: readonly string[]; readonly how?: string } = {},
): Promise<Load> => {
  const made = temporaryFolder('cybermesh-commit-');
  try {
    const file = path.join(made.path, 'campaign.pcap');
    writeFileSync(file, campaign(scanners));
    const run = await runSource(`pcap:${file}`, { forS: CAMPAIGN_S, set });
    const load = `${scanners} scanners${how}, ${(run.tookMs / 1000).toFixed(0)} s`;
    return { load, report: run.report, faults: discrepancies(run) };
  } finally {
    made.remove();
  }
};

/** One policy after the other, as attacks come. */
const firewalled = async (): Promise<Load> => {
  const netns = `cmcommit${process.pid}`;
  execFileSync('ip', ['netns', 'add', netns]);
  try {
    const set = [
      'enforcer.config.backend=nftables',
      `enforcer.config.netns=${netns}`,
      `detection.signer.config.perSecondMax=${ONE_BY_ONE_A_SECOND}`,
    ];
    return await campaigned(ONE_BY_ONE, { set, how: ', two a second, nftables' });
  } finally {
    execFileSync('ip', ['netns', 'del', netns]);
  }
};

const cells = ({ load, report, faults }: Load): (string | number)[] => {
  const { consensus, latencyMs, stages } = report;
  const spans = [consensus.commitLatencyMs, ...Object.values(latencyMs)];
  const latencies = spans.map((span) => (span === null ? '-' : `${span.p50} / ${span.p99}`));
  const sums = [stages.committed, stages.policies, stages.acked, consensus.height];
  return [load, ...sums, consensus.viewChanges, ...latencies, faults.join('; ') || '-'];
};

const main = async (): Promise<void> => {
  const options = { o: { type: 'string', short: 'o' } } as const;
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const loads = [await synthetic(), await campaigned(Number(positionals[0] ?? 1000))];
  if (isRoot && hasPrograms('ip', 'nft')) loads.push(await firewalled());
  if (values.o === 'json') console.log(JSON.stringify({ at: provenance(), loads }));
  else {
    const counts = ['anomalies', 'policies', 'acked', 'height', 'view changes'];
    const spans = ['proposal to commit', 'flow to commit', 'commit to apply', 'heard to applied'];
    spans.push('commit to feedback');
    const head = ['load', ...counts, ...spans.map((span) => `${span}, ms (p50 / p99)`), 'faults'];
    console.log(`${provenance()}\n\n${markdown(head, loads.map(cells))}`);
  }
  if (loads.some(({ faults }) => faults.length > 0)) process.exitCode = 1;
};

await main();
