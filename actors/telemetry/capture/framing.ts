/**
 * Capture files as a stream of frames: libpcap (draft-ietf-opsawg-pcap: micro- and nanoseconds,
 * both byte orders) and pcapng (draft-ietf-opsawg-pcapng). Pull: append chunks, take frames until
 * it needs more.
 */
import { pcapngFraming } from './pcapng.ts';
import { type ByteQueue, byteQueue, unread } from './queue.ts';

/** One captured frame: bytes data[at, at + captured). Reused by the next one. */
export type Frame = {
  data: Uint8Array;
  view: DataView;
  at: number;
  captured: number;
  /** Length on the wire. */
  originalBytes: number;
  /** Link type (draft-ietf-opsawg-pcaplinktype). */
  link: number;
  timeUs: number;
};

export type Taken =
  | 'frame'
  /** A record that is no usable packet (unknown interface): counted as malformed. */
  | 'bad-record'
  /** A whole record has not come yet. */
  | 'more'
  /** What follows cannot be read as records any more. */
  | 'corrupt'
  | 'not-a-capture';

export type Framing = {
  readonly queue: ByteQueue;
  take(frame: Frame): Taken;
  /** The first 4 bytes are those of a capture. */
  begins(): boolean;
};

/** Longest frame that is believed: MAXIMUM_SNAPLEN of libpcap. */
export const FRAME_BYTES_MAX = 262_144;
const FILE_HEADER_BYTES = 24;
const RECORD_HEADER_BYTES = 16;

export const newFrame = (): Frame => ({
  data: new Uint8Array(0),
  view: new DataView(new ArrayBuffer(0)),
  at: 0,
  captured: 0,
  originalBytes: 0,
  link: 0,
  timeUs: 0,
});

type Magic = { readonly little: boolean; readonly nanos: boolean };

const pcapMagic = (magic: number): Magic | undefined => {
  switch (magic) {
    case 0xa1b2c3d4:
      return { little: true, nanos: false };
    case 0xd4c3b2a1:
      return { little: false, nanos: false };
    case 0xa1b23c4d:
      return { little: true, nanos: true };
    case 0x4d3cb2a1:
      return { little: false, nanos: true };
    default:
      return undefined;
  }
};

const pcapFraming = (queue: ByteQueue, { little, nanos }: Magic): ((frame: Frame) => Taken) => {
  let link = -1;
  return (frame) => {
    if (link === -1) {
      if (unread(queue) < FILE_HEADER_BYTES) return 'more';
      link = queue.view.getUint32(queue.start + 20, little) & 0xffff;
      queue.start += FILE_HEADER_BYTES;
    }
    if (unread(queue) < RECORD_HEADER_BYTES) return 'more';
    const at = queue.start;
    const captured = queue.view.getUint32(at + 8, little);
    if (captured > FRAME_BYTES_MAX) return 'corrupt';
    if (unread(queue) < RECORD_HEADER_BYTES + captured) return 'more';
    const fraction = queue.view.getUint32(at + 4, little);
    frame.timeUs =
      queue.view.getUint32(at, little) * 1e6 + (nanos ? Math.floor(fraction / 1000) : fraction);
    frame.originalBytes = queue.view.getUint32(at + 12, little);
    frame.data = queue.data;
    frame.view = queue.view;
    frame.at = at + RECORD_HEADER_BYTES;
    frame.captured = captured;
    frame.link = link;
    queue.start += RECORD_HEADER_BYTES + captured;
    return 'frame';
  };
};

const SECTION_MAGIC = 0x0a0d0d0a;

/** Begins with the first bytes of a file, which say what it is. */
export const framing = (): Framing => {
  const queue = byteQueue();
  let take: ((frame: Frame) => Taken) | undefined;
  const begins = (): boolean => {
    if (unread(queue) < 4) return false;
    const magic = queue.view.getUint32(queue.start, true);
    return magic === SECTION_MAGIC || pcapMagic(magic) !== undefined;
  };
  return {
    queue,
    begins,
    take: (frame) => {
      if (take === undefined) {
        if (unread(queue) < 4) return 'more';
        const magic = queue.view.getUint32(queue.start, true);
        const classic = pcapMagic(magic);
        if (classic !== undefined) take = pcapFraming(queue, classic);
        else if (magic === SECTION_MAGIC) take = pcapngFraming(queue);
        else return 'not-a-capture';
      }
      return take(frame);
    },
  };
};
