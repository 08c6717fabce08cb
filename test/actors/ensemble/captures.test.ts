import { readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Threat } from '#proto/threats.ts';
import { dataDir, hasData } from '#test/kit/data.ts';
import { packetsOf, runCapture, withScan } from '../../../bench/detection/captures.ts';

/** Captures of attacks, and what must be published of them by rules and math alone. */
const ATTACKS: readonly (readonly [string, readonly Threat[]])[] = [
  ['port_scan__curated__tcp_0_1000_20190821', ['port_scan']],
  ['port_scan__pcaphunt__ps-tcp_syn', ['port_scan']],
  ['port_scan__pcaphunt__ps-udp', ['port_scan']],
  ['port_scan__ndpi__synscan', ['port_scan']],
  ['brute_force__zeek__bruteforce', ['brute_force']],
  ['brute_force__zeek__sshguess', ['brute_force']],
  ['brute_force__pcaps__ftp-crack', ['brute_force']],
  ['ddos_syn_flood__packet__pkt.TCP.synflood.spoofed', ['ddos']],
  ['ddos_syn_flood__adddossdn__syn_flood', ['dos', 'ddos']],
  ['ddos_udp_flood__adddossdn__udp_flood', ['dos', 'ddos']],
  ['ddos_icmp_flood__adddossdn__icmp_flood', ['dos', 'ddos']],
  ['ddos_dns_amp__packet__amp.dns.RRSIG.fragmented', ['ddos']],
  ['ddos_udp_amp__packet__amp.UDP.isakmp', ['ddos']],
  ['ddos_tcp_flood__packet__pkt.TCP.DOMINATE.syn.ecn.cwr', ['ddos']],
  ['dos_slow__adddossdn__h6_slow_read', ['dos', 'ddos']],
  ['dhcp_flood__zeek__dhcp_flood', ['ddos', 'dos']],
];

const folder = path.join(dataDir, 'pcap');
const files = hasData ? readdirSync(folder).filter((name) => name.endsWith('.gz')) : [];
const packets = (name: string) =>
  packetsOf(path.join(folder, files.find((file) => file.startsWith(name)) ?? name));
const benign = files.filter((name) => name.startsWith('benign'));

describe.skipIf(!hasData)('captures, by rules and math alone (needs the data folder)', () => {
  test.each(ATTACKS)('%s raises one incident', async (name, threats) => {
    const { told } = await runCapture(packets(name), { ml: false });
    const incidents = told.filter(({ payload }) => payload.previous === '');
    expect(incidents).toHaveLength(1);
    expect(threats).toContain(incidents[0]?.payload.type);
    // It grows, it is not repeated: at most at fourfold steps.
    expect(told.length).toBeLessThanOrEqual(1 + Math.log2(packets(name).count) / 2);
  });

  test('what could be forged is marked as that, what completed its handshakes is not', async () => {
    const spoofable = async (name: string): Promise<boolean[]> =>
      (await runCapture(packets(name), { ml: false })).told.map(({ payload }) => payload.spoofable);
    expect(await spoofable('ddos_syn_flood__packet')).not.toContain(false);
    expect(await spoofable('ddos_udp_amp')).not.toContain(false);
    expect(await spoofable('port_scan__pcaphunt__ps-tcp_syn')).not.toContain(false);
    expect(await spoofable('brute_force__zeek__bruteforce')).not.toContain(true);
  });

  test.each(benign)(
    '%s raises nothing, and a scan in the middle of it one incident',
    async (name) => {
      const own = packetsOf(path.join(folder, name));
      expect((await runCapture(own, { ml: false })).told).toEqual([]);
      const { told } = await runCapture(withScan(own), { ml: false });
      const incidents = told.filter(({ payload }) => payload.previous === '');
      expect(incidents.map(({ payload }) => [payload.type, payload.src_ip])).toEqual([
        ['port_scan', '198.51.100.66'],
      ]);
    },
  );

  test('payload and evidence are the same bytes again, however the packets are batched', async () => {
    const own = packets('ddos_dns_amp');
    const bytes = async (batch: number) =>
      (await runCapture(own, { ml: false, batch })).told.map((one) => [
        one.payloadBytes,
        one.evidence,
      ]);
    const once = await bytes(1_000);
    expect(once.length).toBeGreaterThan(0);
    expect(await bytes(1_000)).toEqual(once);
    expect(await bytes(137)).toEqual(once);
  });
});
