/**
 * Conversations as lists of packets, with sequence numbers that hold: what a capture of real ones
 * would show.
 */
import { TCP_FLAG } from '#proto/flow-batch.ts';
import type { Random } from './random.ts';

const { fin, syn, rst, psh, ack } = TCP_FLAG;
const SEGMENT_BYTES = 1_448;
const TCP = 6;
const UDP = 17;

/** IPv4 as a number. */
export type Host = number;
export const host = (a: number, b: number, c: number, d: number): Host =>
  ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;

export type Ends = {
  readonly client: Host;
  readonly clientPort: number;
  readonly server: Host;
  readonly serverPort: number;
};

/** One packet to come. `label` is an index in LABELS. */
export type Planned = {
  readonly timeUs: number;
  readonly source: Host;
  readonly destination: Host;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly protocol: number;
  readonly flags: number;
  readonly sequence: number;
  readonly acknowledgement: number;
  readonly headerBytes: number;
  readonly payloadBytes: number;
  readonly windowBytes: number;
  readonly ttl: number;
  readonly label: number;
};

/** What the two sides of a connection say in turn: bytes of payload, and the pause before. */
export type Turn = { readonly forward: boolean; readonly bytes: number; readonly pauseUs: number };

export type Tcp = {
  /** SYN, SYN-ACK, ACK. */
  open(): void;
  say(turn: Turn): void;
  /** FIN both ways and the last ACK. */
  close(): void;
  /** An RST of the client (or of the server). */
  reset(forward: boolean): void;
  /** A SYN that is refused. */
  refused(): void;
  readonly packets: Planned[];
};

/** What both sides of a connection know of it: time, next sequence numbers, hops. */
type Line = {
  readonly ends: Ends;
  readonly label: number;
  readonly clientTtl: number;
  readonly packets: Planned[];
  nowUs: number;
  clientNext: number;
  serverNext: number;
};

const put = (line: Line, forward: boolean, flags: number, payloadBytes: number): void => {
  const { ends, label, clientTtl, clientNext, serverNext } = line;
  const own = forward ? clientNext : serverNext;
  const other = forward ? serverNext : clientNext;
  line.packets.push({
    timeUs: Math.round(line.nowUs),
    source: forward ? ends.client : ends.server,
    destination: forward ? ends.server : ends.client,
    sourcePort: forward ? ends.clientPort : ends.serverPort,
    destinationPort: forward ? ends.serverPort : ends.clientPort,
    protocol: TCP,
    flags,
    sequence: own,
    acknowledgement: flags & ack ? other : 0,
    headerBytes: flags & syn ? 40 : 32,
    payloadBytes,
    windowBytes: forward ? 64_240 : 65_160,
    ttl: forward ? clientTtl : 64,
    label,
  });
  const next = (own + payloadBytes + (flags & (syn | fin) ? 1 : 0)) % 4_294_967_296;
  if (forward) line.clientNext = next;
  else line.serverNext = next;
};

const wait = (line: Line, us: number): void => {
  line.nowUs += Math.max(1, us);
};

/** Segments in one direction, an ACK for every second one and for the last. */
const say = (line: Line, rng: Random, turn: Turn, halfTripUs: () => number): void => {
  const { forward, bytes, pauseUs } = turn;
  wait(line, pauseUs);
  for (let left = bytes, count = 1; left > 0; left -= SEGMENT_BYTES, count++) {
    const isLast = left <= SEGMENT_BYTES;
    put(line, forward, isLast ? ack | psh : ack, Math.min(left, SEGMENT_BYTES));
    wait(line, rng.between(8, 40));
    if (count % 2 !== 0 && !isLast) continue;
    wait(line, isLast ? halfTripUs() : 20);
    put(line, !forward, ack, 0);
  }
};

export const tcp = (
  rng: Random,
  ends: Ends,
  startUs: number,
  roundTripUs: number,
  label: number,
): Tcp => {
  const line: Line = {
    ends,
    label,
    clientTtl: rng.pick([64, 128]) - rng.between(0, 12),
    packets: [],
    nowUs: startUs,
    clientNext: rng.between(0, 0xffff_fff0),
    serverNext: rng.between(0, 0xffff_fff0),
  };
  const halfTripUs = (): number => (roundTripUs / 2) * (0.9 + 0.2 * rng.unit());
  /** Half a round trip later, a packet without payload. */
  const then = (forward: boolean, flags: number): void => {
    wait(line, halfTripUs());
    put(line, forward, flags, 0);
  };
  return {
    packets: line.packets,
    say: (turn) => say(line, rng, turn, halfTripUs),
    open: () => {
      put(line, true, syn, 0);
      then(false, syn | ack);
      then(true, ack);
    },
    close: () => {
      then(true, fin | ack);
      then(false, fin | ack);
      then(true, ack);
    },
    reset: (forward) => then(forward, rst | ack),
    refused: () => {
      put(line, true, syn, 0);
      then(false, rst | ack);
    },
  };
};

/** One question and its answer over UDP; without an answer where `answerBytes` is 0. */
export const udp = (
  rng: Random,
  ends: Ends,
  startUs: number,
  roundTripUs: number,
  questionBytes: number,
  answerBytes: number,
  label: number,
): Planned[] => {
  const packet = (forward: boolean, timeUs: number, payloadBytes: number): Planned => ({
    timeUs: Math.round(timeUs),
    source: forward ? ends.client : ends.server,
    destination: forward ? ends.server : ends.client,
    sourcePort: forward ? ends.clientPort : ends.serverPort,
    destinationPort: forward ? ends.serverPort : ends.clientPort,
    protocol: UDP,
    flags: 0,
    sequence: 0,
    acknowledgement: 0,
    headerBytes: 8,
    payloadBytes,
    windowBytes: 0,
    ttl: forward ? 64 : 58,
    label,
  });
  const question = packet(true, startUs, questionBytes);
  const answered = startUs + roundTripUs * (0.9 + 0.3 * rng.unit());
  return answerBytes === 0 ? [question] : [question, packet(false, answered, answerBytes)];
};
