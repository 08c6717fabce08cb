/** Packets of a network interface as they come: the frames become a capture in memory, read like any other. */
import { setTimeout as sleep } from 'node:timers/promises';
import { FRAME_BYTES_MAX, openPacketSocket, type PacketSocket } from '#native/packet-socket.ts';
import { captureReader } from './capture/reader.ts';
import type { LiveConfig, TelemetryConfig } from './config.ts';
import type { Reading, Reporter, Step } from './reading.ts';

/** The header of a libpcap file: microseconds, link type 1 (Ethernet), frames of any length. */
const FILE_HEADER = new Uint8Array(24);
new DataView(FILE_HEADER.buffer).setUint32(0, 0xa1b2c3d4, true);
new DataView(FILE_HEADER.buffer).setUint16(4, 2, true);
new DataView(FILE_HEADER.buffer).setUint16(6, 4, true);
new DataView(FILE_HEADER.buffer).setUint32(16, 1 << 20, true);
new DataView(FILE_HEADER.buffer).setUint32(20, 1, true);

const RECORD_HEADER_BYTES = 16;
/** Pause while nothing comes: short against a batch, long against the cost of waking. */
const POLL_MS = 5;
const DROPS_MS = 1000;

/** One record of a libpcap file. */
const recordOf = (frame: Uint8Array, timeUs: number): Uint8Array => {
  const record = new Uint8Array(RECORD_HEADER_BYTES + frame.length);
  const view = new DataView(record.buffer);
  view.setUint32(0, Math.floor(timeUs / 1e6), true);
  view.setUint32(4, timeUs % 1e6, true);
  view.setUint32(8, frame.length, true);
  view.setUint32(12, frame.length, true);
  record.set(frame, RECORD_HEADER_BYTES);
  return record;
};

const packets = (batch: { readonly count: number; readonly bytes: Uint8Array }): Step => ({
  batch: { shape: 'packets', count: batch.count, packets: batch.bytes },
  fileEnd: false,
});

/** Says once a second what the kernel had to drop. */
const dropReport = (socket: PacketSocket, source: LiveConfig, report: Reporter) => {
  let askedMs = 0;
  return (nowMs: number): void => {
    if (nowMs - askedMs < DROPS_MS) return;
    askedMs = nowMs;
    const dropped = socket.dropped();
    if (dropped === 0) return;
    report.emit('packets_dropped', dropped);
    report.log('warn', 'packets came faster than they were read and were dropped', {
      interface: source.interface,
      dropped,
    });
  };
};

/** Never ends. A batch is handed out when it is full or `batchDelayMs` after its first packet. */
export const liveReading = (
  source: LiveConfig,
  config: TelemetryConfig,
  report: Reporter,
): Reading => {
  const socket = openPacketSocket(source.interface, source.bufferBytes);
  const reader = captureReader(0, config.batchMax, () => report.emit('packets_malformed', 1));
  reader.push(FILE_HEADER);
  const buffer = new Uint8Array(FRAME_BYTES_MAX);
  const sayDrops = dropReport(socket, source, report);
  const aborted = new AbortController();
  let counted = 0;
  /** Reads what waits, up to a full batch. */
  const drain = (): Step | undefined => {
    for (let frames = 0; frames < config.batchMax; frames++) {
      const size = socket.read(buffer);
      if (size === 0) return undefined;
      const [full] = reader.push(recordOf(buffer.subarray(0, size), socket.timeUs()));
      if (full !== undefined) return packets(full);
    }
    return undefined;
  };
  const next = async (): Promise<Step> => {
    let firstMs = 0;
    while (!aborted.signal.aborted) {
      const step = drain();
      const nowMs = performance.now();
      sayDrops(nowMs);
      report.emit('packets_read', reader.counts.packets - counted);
      if (reader.counts.packets > counted && firstMs === 0) firstMs = nowMs;
      counted = reader.counts.packets;
      if (step !== undefined) return step;
      if (firstMs > 0 && nowMs - firstMs >= config.batchDelayMs) {
        const { batch } = reader.end();
        if (batch !== undefined) return packets(batch);
        firstMs = 0;
      }
      await sleep(POLL_MS, undefined, { signal: aborted.signal }).catch(() => undefined);
    }
    return { batch: { shape: 'packets', count: 0, packets: new Uint8Array(0) }, fileEnd: false };
  };
  return {
    next,
    close: () => {
      aborted.abort();
      socket.close();
    },
  };
};
