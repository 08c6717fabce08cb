/**
 * What is remembered of one address on one side: counters in rings of seconds, sketches, histograms. About 16 KiB,
 * recycled when the address gives way to a heavier one.
 */
import {
  ageHeavy,
  age as ageHistogram,
  clearHeavy,
  type Distinct,
  type Heavy,
  HISTOGRAM_BINS,
  mark,
  newDistinct,
  newHeavy,
  pair,
  unmark,
} from './sketch.ts';

/** Counters of a bucket, in this order. */
export const COUNTERS = [
  'packets',
  'bytes',
  'payloadBytes',
  'flows',
  'synOnly',
  'synAck',
  'rst',
  'fin',
  'handshakes',
  'tcpPackets',
  'udpPackets',
  'udpBytes',
  'icmpPackets',
  'otherPackets',
  'fragments',
  'unansweredUdp',
  'reflectedPackets',
  'reflectedBytes',
  'authSessions',
  'probes',
] as const;
export type Counter = (typeof COUNTERS)[number];
export const COUNTER_COUNT = COUNTERS.length;
export const C = Object.fromEntries(COUNTERS.map((name, i) => [name, i])) as {
  readonly [K in Counter]: number;
};

/** One bucket a second for the spans up to 10 s, one a 10 s for the span of 60 s. */
export const FINE_BUCKETS = 10;
export const COARSE_BUCKETS = 6;
export const COARSE_SECONDS = 10;

const PEER_SLOTS = 512;
const PORT_SLOTS = 512;
const FAILED_PAIR_SLOTS = 1024;
const FAILED_SLOTS = 256;
const HEAVY_PLACES = 4;

/** Counters of `stamps.length` consecutive spans; a bucket belongs to the span that its stamp names. */
export type Ring = {
  readonly values: Float64Array;
  readonly stamps: Float64Array;
  /** First and last capture time in the bucket, us. */
  readonly firstUs: Float64Array;
  readonly lastUs: Float64Array;
};

export type Host = {
  readonly address: Uint8Array;
  readonly fine: Ring;
  readonly coarse: Ring;
  readonly peers: Distinct;
  readonly ports: Distinct;
  readonly failedPairs: Distinct;
  readonly failedPeers: Distinct;
  readonly failedPorts: Distinct;
  readonly failedTcpPairs: Distinct;
  readonly failedTcpPorts: Distinct;
  /** Peers, destination ports, lengths. */
  readonly bins: Float32Array;
  readonly topPeers: Heavy;
  readonly topPeerAddresses: Uint8Array;
  readonly topPorts: Heavy;
  readonly topSourcePorts: Heavy;
  /** Second up to which histograms and heavy hitters are aged. */
  agedSecond: number;
  lastSecond: number;
  authPort: number;
  /** Packets of the current second, and at how many the next early record is due. */
  burst: number;
  burstSecond: number;
  burstNext: number;
  /** Packets of the last spans: who weighs least gives way. */
  weight: number;
  dirty: boolean;
  /** Where the counters of the packet in hand are; -1 = that span is over. */
  fineAt: number;
  coarseAt: number;
};

const newRing = (buckets: number): Ring => ({
  values: new Float64Array(buckets * COUNTER_COUNT),
  stamps: new Float64Array(buckets).fill(-1),
  firstUs: new Float64Array(buckets),
  lastUs: new Float64Array(buckets),
});

export const newHost = (): Host => ({
  address: new Uint8Array(16),
  fine: newRing(FINE_BUCKETS),
  coarse: newRing(COARSE_BUCKETS),
  peers: newDistinct(PEER_SLOTS),
  ports: newDistinct(PORT_SLOTS),
  failedPairs: newDistinct(FAILED_PAIR_SLOTS),
  failedPeers: newDistinct(FAILED_SLOTS),
  failedPorts: newDistinct(FAILED_SLOTS),
  failedTcpPairs: newDistinct(PEER_SLOTS),
  failedTcpPorts: newDistinct(FAILED_SLOTS),
  bins: new Float32Array(3 * HISTOGRAM_BINS),
  topPeers: newHeavy(HEAVY_PLACES),
  topPeerAddresses: new Uint8Array(16 * HEAVY_PLACES),
  topPorts: newHeavy(HEAVY_PLACES),
  topSourcePorts: newHeavy(HEAVY_PLACES),
  agedSecond: 0,
  lastSecond: 0,
  authPort: 0,
  burst: 0,
  burstSecond: 0,
  burstNext: 0,
  weight: 0,
  dirty: false,
  fineAt: -1,
  coarseAt: -1,
});

/** Makes a used host new for another address. */
export const recycle = (host: Host, view: DataView, offset: number): void => {
  for (let i = 0; i < 16; i += 1) host.address[i] = view.getUint8(offset + i);
  host.fine.stamps.fill(-1);
  host.coarse.stamps.fill(-1);
  for (const slots of [host.peers, host.ports, host.failedPairs]) slots.fill(0);
  for (const slots of [host.failedPeers, host.failedPorts]) slots.fill(0);
  for (const slots of [host.failedTcpPairs, host.failedTcpPorts]) slots.fill(0);
  host.bins.fill(0);
  for (const heavy of [host.topPeers, host.topPorts, host.topSourcePorts]) clearHeavy(heavy);
  host.topPeerAddresses.fill(0);
  host.agedSecond = host.lastSecond = 0;
  host.authPort = 0;
  host.burst = host.burstSecond = host.burstNext = 0;
  host.weight = 0;
  host.dirty = false;
};

/** Offset of the counters of the bucket for `stamp`, emptied if it still held an older span; -1 = too old. */
export const bucketAt = (ring: Ring, stamp: number, timeUs: number): number => {
  const bucket = stamp % ring.stamps.length;
  const held = ring.stamps[bucket] ?? -1;
  if (held > stamp) return -1;
  const offset = bucket * COUNTER_COUNT;
  if (held < stamp) {
    ring.values.fill(0, offset, offset + COUNTER_COUNT);
    ring.stamps[bucket] = stamp;
    ring.firstUs[bucket] = timeUs;
    ring.lastUs[bucket] = timeUs;
  } else {
    if (timeUs < (ring.firstUs[bucket] ?? 0)) ring.firstUs[bucket] = timeUs;
    if (timeUs > (ring.lastUs[bucket] ?? 0)) ring.lastUs[bucket] = timeUs;
  }
  return offset;
};

/** An attempt of the host at (peer, port) has failed as far as anybody knows; hashes, second of capture time. */
export const markFailure = (
  host: Host,
  peerHash: number,
  portHash: number,
  tcp: boolean,
  second: number,
): void => {
  const pairHash = pair(peerHash, portHash);
  mark(host.failedPairs, pairHash, second);
  mark(host.failedPeers, peerHash, second);
  mark(host.failedPorts, portHash, second);
  if (!tcp) return;
  mark(host.failedTcpPairs, pairHash, second);
  mark(host.failedTcpPorts, portHash, second);
};

/** It was answered after all. */
export const unmarkFailure = (
  host: Host,
  peerHash: number,
  portHash: number,
  tcp: boolean,
): void => {
  const pairHash = pair(peerHash, portHash);
  unmark(host.failedPairs, pairHash);
  unmark(host.failedPeers, peerHash);
  unmark(host.failedPorts, portHash);
  if (!tcp) return;
  unmark(host.failedTcpPairs, pairHash);
  unmark(host.failedTcpPorts, portHash);
};

export type Sums = { readonly values: Float64Array; firstUs: number; lastUs: number };
export const newSums = (): Sums => ({
  values: new Float64Array(COUNTER_COUNT),
  firstUs: 0,
  lastUs: 0,
});

/** Adds up the buckets stamped `from`..`to` into `sums`. */
export const sumRing = (ring: Ring, from: number, to: number, sums: Sums): void => {
  sums.values.fill(0);
  sums.firstUs = Number.POSITIVE_INFINITY;
  sums.lastUs = 0;
  for (let bucket = 0; bucket < ring.stamps.length; bucket += 1) {
    const stamp = ring.stamps[bucket] ?? -1;
    if (stamp < from || stamp > to) continue;
    const offset = bucket * COUNTER_COUNT;
    for (let i = 0; i < COUNTER_COUNT; i += 1) {
      sums.values[i] = (sums.values[i] ?? 0) + (ring.values[offset + i] ?? 0);
    }
    sums.firstUs = Math.min(sums.firstUs, ring.firstUs[bucket] ?? 0);
    sums.lastUs = Math.max(sums.lastUs, ring.lastUs[bucket] ?? 0);
  }
  if (sums.lastUs === 0) sums.firstUs = 0;
};

/** Lets histograms and heavy hitters fade up to `second`. */
export const fade = (host: Host, second: number): void => {
  const seconds = second - host.agedSecond;
  if (seconds <= 0) return;
  if (host.agedSecond > 0) {
    ageHistogram(host.bins, seconds);
    ageHeavy(host.topPeers, seconds);
    ageHeavy(host.topPorts, seconds);
    ageHeavy(host.topSourcePorts, seconds);
    host.weight *= seconds > 60 ? 0 : 0.8 ** seconds;
  }
  host.agedSecond = second;
};
