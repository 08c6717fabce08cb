import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { discrepancies, incidentsOf, runSource, warningsOf } from '#test/kit/capture-run.ts';
import { capture, hasData } from '#test/kit/data.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { connectScan, framesOf, hostsOf, pcapng, splice } from '#test/kit/splice.ts';
import { hasTshark } from '#test/kit/tshark.ts';
import { countFlows } from '../../bench/kit/flow-count.ts';

const SCANNER = '198.51.100.66';
let made: { readonly path: string; readonly remove: () => void } | undefined;
afterEach(() => made?.remove());

test.skipIf(!hasData)(
  'a SYN flood from forged addresses ends as committed anomalies, and nothing is dropped for it (needs the data folder)',
  async () => {
    const file = capture('ddos_syn_flood__packet__pkt.TCP.synflood.spoofed.pcap.gz');
    const run = await runSource(`pcap:${file}`);
    expect(discrepancies(run)).toEqual([]);
    expect(run.fates.committed.length).toBeGreaterThan(0);
    expect(incidentsOf(run).map(({ type, spoofable }) => ({ type, spoofable }))).toEqual([
      { type: 'ddos', spoofable: true },
    ]);
    expect([...run.fates.policies.values()].map(({ action }) => action)).not.toContain('drop');
    expect(warningsOf(run)).toEqual([]);
  },
);

test.skipIf(!hasData)(
  'a scan within benign traffic alerts, and nothing else of it does (needs the data folder)',
  async () => {
    made = temporaryFolder('cybermesh-spliced-');
    const carrier = framesOf(capture('benign__ndpi__netflix.pcap.gz'));
    const target = hostsOf(carrier)[0]!;
    const file = path.join(made.path, 'spliced.pcapng');
    writeFileSync(file, pcapng(splice(carrier, connectScan(SCANNER, target))));
    const run = await runSource(`pcap:${file}`);
    expect(discrepancies(run)).toEqual([]);
    expect(incidentsOf(run).map(({ type, src_ip, dst_ip }) => [type, src_ip, dst_ip])).toEqual([
      ['port_scan', SCANNER, target],
    ]);
  },
);

test.skipIf(!hasData || !hasTshark)(
  'packets and flows of a password guesser are those that tshark reads, and it is committed (needs the data folder, tshark)',
  async () => {
    const file = capture('brute_force__zeek__bruteforce.pcap.gz');
    const counted = countFlows(file);
    const run = await runSource(`pcap:${file}`);
    expect(run.read?.packets).toBe(counted.frames);
    expect(run.read).toMatchObject({ notIp: counted.frames - counted.ip, malformed: 0 });
    expect(run.report.stages.flows).toBe(counted.flows);
    expect(discrepancies(run)).toEqual([]);
    expect(new Set(incidentsOf(run).map(({ type }) => type))).toEqual(new Set(['brute_force']));
  },
);
