/** Writes one window of one host as a WINDOW record. */
import { WINDOW, type WindowSide } from '#proto/flow-batch.ts';
import { C, type Counter, type Host, type Sums } from './host.ts';
import { distinct, entropyBits, HISTOGRAM_BINS, heaviest } from './sketch.ts';

const SUMMED = [
  'packets',
  'flows',
  'synOnly',
  'synAck',
  'rst',
  'fin',
  'handshakes',
  'tcpPackets',
  'udpPackets',
  'icmpPackets',
  'otherPackets',
  'fragments',
  'unansweredUdp',
  'reflectedPackets',
  'authSessions',
  'probes',
  'bytes',
  'payloadBytes',
  'udpBytes',
  'reflectedBytes',
] as const satisfies readonly Counter[];

const share = (weight: number, total: number): number => (total > 0 ? weight / total : 0);

const writeHeavy = (view: DataView, row: number, host: Host): void => {
  const { set } = WINDOW;
  const peer = heaviest(host.topPeers);
  if (peer >= 0) {
    WINDOW.address
      .topPeer(view, row)
      .set(host.topPeerAddresses.subarray(peer * 16, peer * 16 + 16));
    const { weights, total } = host.topPeers;
    set.topPeerPackets(view, row, Math.floor(weights[peer] ?? 0));
    set.topPeerShare(view, row, share(weights[peer] ?? 0, total));
  }
  const port = heaviest(host.topPorts);
  if (port >= 0) {
    set.topPort(view, row, host.topPorts.keys[port] ?? 0);
    set.topPortShare(view, row, share(host.topPorts.weights[port] ?? 0, host.topPorts.total));
  }
  const from = heaviest(host.topSourcePorts);
  if (from >= 0) {
    const { keys, weights, total } = host.topSourcePorts;
    set.topSourcePort(view, row, keys[from] ?? 0);
    set.topSourcePortShare(view, row, share(weights[from] ?? 0, total));
  }
};

export type Entropies = { peer: number; port: number; length: number };
export const newEntropies = (): Entropies => ({ peer: 0, port: 0, length: 0 });

export const entropiesOf = (host: Host, into: Entropies): void => {
  into.peer = entropyBits(host.bins, 0);
  into.port = entropyBits(host.bins, HISTOGRAM_BINS);
  into.length = entropyBits(host.bins, 2 * HISTOGRAM_BINS);
};

/** `row` of `view` must be zeroed. Spans are in whole seconds, `fromSecond` the first of them. */
export const writeWindow = (
  view: DataView,
  row: number,
  side: WindowSide,
  host: Host,
  sums: Sums,
  entropies: Entropies,
  spanMs: number,
  fromSecond: number,
): void => {
  const { set } = WINDOW;
  set.startMs(view, row, fromSecond * 1000);
  set.firstMs(view, row, sums.firstUs / 1000);
  set.lastMs(view, row, sums.lastUs / 1000);
  set.spanMs(view, row, spanMs);
  set.side(view, row, side === 'source' ? 0 : 1);
  WINDOW.address.address(view, row).set(host.address);
  for (const name of SUMMED) set[name](view, row, sums.values[C[name]] ?? 0);
  set.distinctPeers(view, row, distinct(host.peers, fromSecond));
  set.distinctPorts(view, row, distinct(host.ports, fromSecond));
  if (side === 'source') {
    set.failedPairs(view, row, distinct(host.failedPairs, fromSecond));
    set.failedPeers(view, row, distinct(host.failedPeers, fromSecond));
    set.failedPorts(view, row, distinct(host.failedPorts, fromSecond));
    set.failedTcpPairs(view, row, distinct(host.failedTcpPairs, fromSecond));
    set.failedTcpPorts(view, row, distinct(host.failedTcpPorts, fromSecond));
  }
  set.authPort(view, row, host.authPort);
  set.entropyPeer(view, row, entropies.peer);
  set.entropyPort(view, row, entropies.port);
  set.entropyLength(view, row, entropies.length);
  writeHeavy(view, row, host);
};
