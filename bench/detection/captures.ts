/**
 * Claim: which captures raise an alarm, how soon in capture time, and what the benign ones raise; each benign one a
 * second time with a SYN scan spliced into its middle.
 *
 *   node bench/detection/captures.ts [--no-ml] [part of a file name]
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';
import { captureReader } from '#actors/telemetry/capture/reader.ts';
import { BATCH_MAX, PACKET, recordsOf, TCP_FLAG } from '#proto/flow-batch.ts';
import { parseIp } from '#proto/ip.ts';
import { openChain, type Told } from './chain.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const folder = path.join(
  path.resolve(root, process.env.CYBERMESH_DATA ?? '../shared/data'),
  'pcap',
);
const rules = readFileSync(path.join(root, 'config/rules.yaml'), 'utf8');

export type Packets = { readonly count: number; readonly bytes: Uint8Array };

/** All packets of a capture as PACKET records. */
export const packetsOf = (file: string): Packets => {
  const raw = readFileSync(file);
  const reader = captureReader(0, BATCH_MAX);
  const batches = reader.push(file.endsWith('.gz') ? gunzipSync(raw) : raw);
  const { batch } = reader.end();
  const all = batch === undefined ? batches : [...batches, batch];
  const count = all.reduce((sum, one) => sum + one.count, 0);
  const bytes = new Uint8Array(count * PACKET.size);
  let at = 0;
  for (const one of all) {
    bytes.set(one.bytes.subarray(0, one.count * PACKET.size), at);
    at += one.count * PACKET.size;
  }
  return { count, bytes };
};

/** The packets with a SYN scan (200 ports, 50 a second) of 198.51.100.66 from the middle packet on. */
export const withScan = ({ count, bytes }: Packets): Packets => {
  const PORTS = 200;
  const EVERY_US = 20_000;
  const view = recordsOf(bytes);
  const middle = Math.floor(count / 2);
  const beganUs = PACKET.get.timeUs(view, middle);
  const victim = PACKET.address.destination(view, middle).slice();
  const scan = new Uint8Array(PORTS * PACKET.size);
  const scanView = recordsOf(scan);
  for (let i = 0; i < PORTS; i += 1) {
    const { set, address } = PACKET;
    set.timeUs(scanView, i, beganUs + i * EVERY_US);
    address.source(scanView, i).set(parseIp('198.51.100.66') ?? new Uint8Array(16));
    address.destination(scanView, i).set(victim);
    set.ipBytes(scanView, i, 40);
    set.headerBytes(scanView, i, 20);
    set.sourcePort(scanView, i, 40_000);
    set.destinationPort(scanView, i, 1 + i);
    set.protocol(scanView, i, 6);
    set.tcpFlags(scanView, i, TCP_FLAG.syn);
    set.tcpSequence(scanView, i, 1_000 + i);
    set.ttl(scanView, i, 64);
  }
  const merged = new Uint8Array(bytes.length + scan.length);
  let from = 0;
  for (let row = 0, at = 0; row < count + PORTS; row += 1) {
    const own = row - from;
    const later =
      own >= count ||
      (own > middle &&
        from < PORTS &&
        PACKET.get.timeUs(scanView, from) <= PACKET.get.timeUs(view, own));
    const source = later && from < PORTS ? scan : bytes;
    const index = source === scan ? from : own;
    merged.set(source.subarray(index * PACKET.size, (index + 1) * PACKET.size), at);
    at += PACKET.size;
    if (source === scan) from += 1;
  }
  return { count: count + PORTS, bytes: merged };
};

export type Run = {
  readonly told: readonly Told[];
  readonly counters: ReadonlyMap<string, number>;
  readonly firstUs: number;
};

/** One capture through the whole chain. */
export const runCapture = async (
  packets: Packets,
  options: { readonly ml: boolean; readonly batch?: number; readonly name?: string },
): Promise<Run> => {
  const chain = await openChain({ rules, ml: options.ml });
  const view = recordsOf(packets.bytes);
  const firstUs = packets.count > 0 ? PACKET.get.timeUs(view, 0) : 0;
  const size = options.batch ?? BATCH_MAX;
  let seq = 0;
  for (let from = 0; from < packets.count || seq === 0; from += size) {
    const count = Math.min(size, packets.count - from);
    const end = from + count >= packets.count;
    const bytes = packets.bytes.slice(from * PACKET.size, (from + count) * PACKET.size);
    const readUs = count > 0 ? PACKET.get.timeUs(view, from + count - 1) : firstUs;
    seq += 1;
    const capture = `pcap:${options.name ?? 'capture'}`;
    const head = { epoch: 1, seq, count, capture, flush: end, end };
    await chain.push({ kind: 'packets', ...head, packets: bytes }, readUs);
  }
  if (!chain.isEnded()) throw new Error('the end did not reach the signer');
  await chain.close();
  return { told: chain.told, counters: chain.counters, firstUs };
};

const first = ({ told, firstUs }: Run): string => {
  const [one] = told;
  if (one === undefined) return '-';
  return `${Math.max(0, one.payload.last_seen_ms - firstUs / 1000).toFixed(0)} ms`;
};

const voices = ({ payload }: Told): string =>
  payload.engines.map(({ engine, score }) => `${engine} ${score.toFixed(2)}`).join(', ');

const describe = ({ told }: Run): string => {
  const incidents = told.filter(({ payload }) => payload.previous === '');
  return incidents
    .slice(0, 4)
    .map((one) => {
      const { type, src_ip, dst_ip, spoofable, severity } = one.payload;
      const ends = `${src_ip || '*'} > ${dst_ip || '*'}`;
      return `${type} ${ends} sev ${severity}${spoofable ? ' spoofable' : ''} (${voices(one)})`;
    })
    .join('; ');
};

const main = async (): Promise<void> => {
  const args = process.argv.slice(2);
  const ml = !args.includes('--no-ml');
  const part = args.find((arg) => !arg.startsWith('--')) ?? '';
  const files = readdirSync(folder).filter((name) => name.endsWith('.gz') && name.includes(part));
  console.log('| capture | packets | anomalies | events | first alert | what |');
  console.log('|---|---|---|---|---|---|');
  for (const name of files.sort()) {
    const packets = packetsOf(path.join(folder, name));
    const row = (title: string, count: number, run: Run): void => {
      const incidents = run.told.filter(({ payload }) => payload.previous === '').length;
      const cells = [title, count, incidents, run.told.length, first(run), describe(run)];
      console.log(`| ${cells.join(' | ')} |`);
    };
    row(name.replace(/\.pcap(ng)?\.gz$/, ''), packets.count, await runCapture(packets, { ml }));
    if (!name.startsWith('benign')) continue;
    const spliced = withScan(packets);
    row('- with a scan', spliced.count, await runCapture(spliced, { ml }));
  }
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
