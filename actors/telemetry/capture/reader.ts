/**
 * Chunks of one capture file in, batches of PACKET records out, with a count of everything that was
 * there.
 */
import { PACKET } from '#proto/flow-batch.ts';
import { readDatagram } from './datagram.ts';
import { framing, newFrame } from './framing.ts';
import { CUT, datagramOffset, LINKS, NOT_IP } from './link.ts';
import { append, unread } from './queue.ts';

export type CaptureCounts = {
  /** Packets in the file, as any reader of captures counts them. */
  packets: number;
  /** Not IP (ARP, LLDP ...) or of a link type that cannot be read. */
  notIp: number;
  malformed: number;
  /** Of notIp: the link type of the last one that cannot be read; -1 = none. */
  unknownLink: number;
};

export type Batch = { readonly count: number; readonly bytes: Uint8Array };

/** A malformed packet, for the log. */
export type Malformed = { readonly number: number; readonly timeUs: number };

export type ReaderState = 'reading' | 'not-a-capture' | 'corrupt';

export type CaptureReader = {
  readonly counts: CaptureCounts;
  /** Full batches that these bytes completed. */
  push(chunk: Uint8Array): Batch[];
  /** The last, shorter batch, if any; and whether the file ended within a record. */
  end(): { readonly batch: Batch | undefined; readonly truncated: boolean };
  state(): ReaderState;
};

const { offset: P } = PACKET;

export const captureReader = (
  fileIndex: number,
  batchMax: number,
  onMalformed: (packet: Malformed) => void = () => undefined,
): CaptureReader => {
  const frames = framing();
  const frame = newFrame();
  const counts: CaptureCounts = { packets: 0, notIp: 0, malformed: 0, unknownLink: -1 };
  let state: ReaderState = 'reading';
  let bytes = new Uint8Array(PACKET.size * batchMax);
  let view = new DataView(bytes.buffer);
  let count = 0;

  const cut = (): Batch => {
    const batch = { count, bytes: bytes.subarray(0, count * PACKET.size) };
    bytes = new Uint8Array(PACKET.size * batchMax);
    view = new DataView(bytes.buffer);
    count = 0;
    return batch;
  };
  const malformed = (): void => {
    counts.malformed += 1;
    onMalformed({ number: counts.packets, timeUs: frame.timeUs });
  };
  const take = (): void => {
    counts.packets += 1;
    if (!LINKS.has(frame.link)) counts.unknownLink = frame.link;
    const at = datagramOffset(frame);
    if (at === NOT_IP) {
      counts.notIp += 1;
      return;
    }
    if (at === CUT) return malformed();
    const outcome = readDatagram(frame, at, view, count);
    if (outcome === 'malformed') return malformed();
    if (outcome === 'not-ip') {
      counts.notIp += 1;
      return;
    }
    const base = count * PACKET.size;
    view.setFloat64(base + P.timeUs, frame.timeUs, true);
    view.setFloat64(base + P.number, counts.packets, true);
    view.setUint32(base + P.fileIndex, fileIndex, true);
    count += 1;
  };
  const push = (chunk: Uint8Array): Batch[] => {
    const batches: Batch[] = [];
    append(frames.queue, chunk);
    while (state === 'reading') {
      const taken = frames.take(frame);
      if (taken === 'more') break;
      if (taken === 'frame') take();
      else if (taken === 'bad-record') {
        counts.packets += 1;
        malformed();
      } else state = taken;
      if (count === batchMax) batches.push(cut());
    }
    return batches;
  };
  const end = () => {
    const truncated = unread(frames.queue) > 0 || frames.queue.skipBytes > 0;
    return { batch: count > 0 ? cut() : undefined, truncated };
  };
  return { counts, push, end, state: () => state };
};
