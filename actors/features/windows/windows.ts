/**
 * Sliding windows of 1, 10 and 60 s for each address that matters, by capture time. The windows are a function of the
 * packets and their order alone: not of batches, not of a clock. A host's records are made when a second
 * closes in which it was active, and within a second at 32, 64, 128 ... packets, so that a flood
 * is seen while it grows.
 */
import { WINDOW, WINDOWS_MAX, type WindowSide } from '#proto/flow-batch.ts';
import { type Connections, clearConnections, newConnections, type Segment } from './connections.ts';
import {
  bucketAt,
  C,
  COARSE_BUCKETS,
  COARSE_SECONDS,
  FINE_BUCKETS,
  fade,
  type Host,
  newSums,
  type Ring,
  type Sums,
  sumRing,
} from './host.ts';
import {
  clearHostTable,
  forget,
  type HostKey,
  type HostTable,
  newHostTable,
  touch,
} from './host-table.ts';
import { type Entropies, entropiesOf, newEntropies, writeWindow } from './record.ts';
import type { WindowSettings } from './settings.ts';

const BURST_FIRST = 32;
const FORGET_AFTER_S = 60;
const FORGET_EVERY_S = 10;

export type Windows = {
  readonly settings: WindowSettings;
  readonly authPorts: ReadonlySet<number>;
  readonly reflectorPorts: ReadonlySet<number>;
  readonly sources: HostTable;
  readonly destinations: HostTable;
  readonly connections: Connections;
  readonly segment: Segment;
  readonly sums: Sums;
  /** Hosts touched in the current second, in the order of their first packet. */
  readonly dirty: { readonly side: WindowSide; readonly host: Host }[];
  /** Records not yet taken. */
  readonly pending: Uint8Array<ArrayBuffer>;
  readonly pendingView: DataView;
  pendingCount: number;
  /** Records that did not fit, packets from another time: for the metrics. */
  dropped: number;
  late: number;
  second: number;
  forgotSecond: number;
  lateRun: number;
  /** Entropies of the host whose records are being made: the same for all its spans. */
  readonly entropies: Entropies;
};

const newSegment = (): Segment => ({
  sourceHash: 0,
  destinationHash: 0,
  sourcePort: 0,
  destinationPort: 0,
  protocol: 0,
  tcpFlags: 0,
  sequence: 0,
  acknowledgement: 0,
  payloadBytes: 0,
  echoRequest: false,
  second: 0,
});

export const createWindows = (settings: WindowSettings): Windows => {
  const pending = new Uint8Array(WINDOWS_MAX * WINDOW.size);
  return {
    settings,
    authPorts: new Set(settings.authPorts),
    reflectorPorts: new Set(settings.reflectorPorts),
    sources: newHostTable(settings.hostsMax),
    destinations: newHostTable(settings.hostsMax),
    connections: newConnections(settings.connectionsMax),
    segment: newSegment(),
    sums: newSums(),
    dirty: [],
    pending,
    pendingView: new DataView(pending.buffer),
    pendingCount: 0,
    dropped: 0,
    late: 0,
    second: 0,
    forgotSecond: 0,
    lateRun: 0,
    entropies: newEntropies(),
  };
};

const forgetAll = (windows: Windows): void => {
  clearHostTable(windows.sources);
  clearHostTable(windows.destinations);
  clearConnections(windows.connections);
  windows.dirty.length = 0;
  windows.second = windows.forgotSecond = 0;
  windows.lateRun = 0;
};

/** Forgets everything, records not yet taken included: a new epoch. */
export const resetWindows = (windows: Windows): void => {
  forgetAll(windows);
  windows.pendingCount = 0;
};

const emitSpan = (
  windows: Windows,
  side: WindowSide,
  host: Host,
  spanMs: number,
  fromSecond: number,
): void => {
  if (windows.pendingCount >= WINDOWS_MAX) {
    windows.dropped += 1;
    return;
  }
  const row = windows.pendingCount;
  windows.pending.fill(0, row * WINDOW.size, (row + 1) * WINDOW.size);
  writeWindow(
    windows.pendingView,
    row,
    side,
    host,
    windows.sums,
    windows.entropies,
    spanMs,
    fromSecond,
  );
  windows.pendingCount += 1;
};

const emit = (windows: Windows, side: WindowSide, host: Host, early: boolean): void => {
  const { sums, settings, second } = windows;
  const worth = (): boolean =>
    (sums.values[C.packets] ?? 0) >= settings.floorPackets ||
    (sums.values[C.flows] ?? 0) >= settings.floorFlows;
  fade(host, second);
  entropiesOf(host, windows.entropies);
  sumRing(host.fine, second, second, sums);
  if (worth()) emitSpan(windows, side, host, 1_000, second);
  const tenFrom = second - FINE_BUCKETS + 1;
  sumRing(host.fine, tenFrom, second, sums);
  if (worth()) emitSpan(windows, side, host, 10_000, tenFrom);
  if (early) return;
  const coarse = Math.floor(second / COARSE_SECONDS);
  sumRing(host.coarse, coarse - COARSE_BUCKETS + 1, coarse, sums);
  const begun = (sums.values[C.flows] ?? 0) >= settings.floorFlows;
  if (begun || (sums.values[C.authSessions] ?? 0) >= 2 || (sums.values[C.probes] ?? 0) >= 2) {
    emitSpan(windows, side, host, 60_000, (coarse - COARSE_BUCKETS + 1) * COARSE_SECONDS);
  }
};

/** Makes the records of every host that was active in the second that ends. */
const closeSecond = (windows: Windows): void => {
  for (const { side, host } of windows.dirty) {
    host.dirty = false;
    emit(windows, side, host, false);
  }
  windows.dirty.length = 0;
};

/** The source has ended: makes the records of what is still open. */
export const flushWindows = (windows: Windows): void => closeSecond(windows);

/**
 * Moves the clock to capture time `timeUs`. Ordinary disorder is counted where it belongs; a lone packet from another
 * time is dropped; a run of them is a new timeline (the next file, a merged capture), which begins empty.
 */
export const advance = (windows: Windows, timeUs: number): boolean => {
  const second = Math.floor(timeUs / 1e6);
  if (second <= 0) return false;
  if (second >= windows.second - windows.settings.lateMaxS) {
    windows.lateRun = 0;
    if (second <= windows.second) return true;
    closeSecond(windows);
    windows.second = second;
    if (second - windows.forgotSecond >= FORGET_EVERY_S) {
      forget(windows.sources, second - FORGET_AFTER_S);
      forget(windows.destinations, second - FORGET_AFTER_S);
      windows.forgotSecond = second;
    }
    return true;
  }
  windows.lateRun += 1;
  if (windows.lateRun < windows.settings.lateRunMax) {
    windows.late += 1;
    return false;
  }
  closeSecond(windows);
  forgetAll(windows);
  windows.second = second;
  return true;
};

/**
 * The host of the address at `offset` of `view`, its counters' places found; undefined for a stranger. `plus` adds
 * to it until it is opened for the next packet.
 */
export const open = (
  windows: Windows,
  side: WindowSide,
  key: HostKey,
  view: DataView,
  offset: number,
  timeUs: number,
): Host | undefined => {
  const table = side === 'source' ? windows.sources : windows.destinations;
  const host = touch(table, key, view, offset);
  if (host === undefined) return undefined;
  const second = Math.floor(timeUs / 1e6);
  host.fineAt = bucketAt(host.fine, second, timeUs);
  host.coarseAt = bucketAt(host.coarse, Math.floor(second / COARSE_SECONDS), timeUs);
  if (second > host.lastSecond) host.lastSecond = second;
  if (!host.dirty) {
    host.dirty = true;
    windows.dirty.push({ side, host });
  }
  fade(host, windows.second);
  return host;
};

const plusRing = (ring: Ring, at: number, counter: number, amount: number): void => {
  if (at >= 0) ring.values[at + counter] = (ring.values[at + counter] ?? 0) + amount;
};

/** Adds to a counter of an opened host. */
export const plus = (host: Host, counter: number, amount = 1): void => {
  plusRing(host.fine, host.fineAt, counter, amount);
  plusRing(host.coarse, host.coarseAt, counter, amount);
};

/** Makes early records when the packets of this second have doubled since the last. */
export const burst = (windows: Windows, side: WindowSide, host: Host): void => {
  if (host.burstSecond !== windows.second) {
    host.burstSecond = windows.second;
    host.burst = 0;
    host.burstNext = BURST_FIRST;
  }
  host.burst += 1;
  host.weight += 1;
  if (host.burst < host.burstNext) return;
  host.burstNext *= 2;
  emit(windows, side, host, true);
};

export const pendingWindows = (windows: Windows): number => windows.pendingCount;

/** Takes up to `countMax` of the oldest records, as the `aggregates` of a batch: a copy, 8-byte aligned. */
export const takeWindows = (windows: Windows, countMax: number): Uint8Array<ArrayBuffer> => {
  const count = Math.min(countMax, windows.pendingCount);
  const taken = windows.pending.slice(0, count * WINDOW.size);
  windows.pending.copyWithin(0, count * WINDOW.size, windows.pendingCount * WINDOW.size);
  windows.pendingCount -= count;
  return taken;
};
