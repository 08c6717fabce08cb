/**
 * Who began a conversation, and how far it came: a bounded, set-associative table over packets. What it forgets
 * counts as new; a forgotten handshake is never completed, so its counts are lower bounds.
 */
import { TCP_FLAG } from '#proto/flow-batch.ts';
import { pair } from './sketch.ts';

const WAYS = 4;

export const STATE = {
  empty: 0,
  /** Begun: a SYN, or a first datagram. */
  begun: 1,
  /** The other side answered. */
  answered: 2,
  /** The initiator acknowledged the responder's own sequence number: its address is real. */
  complete: 3,
  closed: 4,
  /** First seen in its middle: its initiator is a guess. */
  midstream: 5,
} as const;

/** What one packet did to its conversation. One object, overwritten by every call. */
export type Turn = {
  /** The sender of this packet is the one who began. */
  fromInitiator: boolean;
  began: boolean;
  /** Begun by a TCP SYN, a datagram or an echo request: an attempt that can fail. */
  attempt: boolean;
  /** The first answer (SYN-ACK, datagram back, echo reply), or data on what was one-way. */
  answered: boolean;
  completed: boolean;
  /** The responder refused by RST. */
  refused: boolean;
  /** A completed session was closed: with its initiator's payload and its length in seconds. */
  closed: boolean;
  /** The initiator completed the handshake, and reset without having sent payload. */
  probed: boolean;
  /** Nobody has answered so far. */
  unanswered: boolean;
  initiatorBytes: number;
  seconds: number;
};

export type Connections = {
  readonly sets: number;
  readonly fingerprint: Uint32Array;
  readonly initiator: Uint32Array;
  /** Sequence number that completes the handshake. */
  readonly expected: Uint32Array;
  readonly bytes: Uint32Array;
  readonly firstSecond: Uint32Array;
  readonly lastSecond: Uint32Array;
  readonly state: Uint8Array;
  readonly turn: Turn;
};

/** Idle for longer, a conversation is over. */
const IDLE_MAX_S = 120;

const newTurn = (): Turn => ({
  fromInitiator: true,
  began: false,
  attempt: false,
  answered: false,
  completed: false,
  refused: false,
  closed: false,
  probed: false,
  unanswered: false,
  initiatorBytes: 0,
  seconds: 0,
});

/** `entries` is rounded up to a power of two. 29 bytes an entry. */
export const newConnections = (entries: number): Connections => {
  const sets = 2 ** Math.ceil(Math.log2(Math.max(entries, WAYS) / WAYS));
  const size = sets * WAYS;
  return {
    sets,
    fingerprint: new Uint32Array(size),
    initiator: new Uint32Array(size),
    expected: new Uint32Array(size),
    bytes: new Uint32Array(size),
    firstSecond: new Uint32Array(size),
    lastSecond: new Uint32Array(size),
    state: new Uint8Array(size),
    turn: newTurn(),
  };
};

export const clearConnections = (table: Connections): void => {
  table.state.fill(STATE.empty);
};

/** What the table needs to know of a packet. */
export type Segment = {
  sourceHash: number;
  destinationHash: number;
  sourcePort: number;
  destinationPort: number;
  protocol: number;
  tcpFlags: number;
  sequence: number;
  acknowledgement: number;
  payloadBytes: number;
  echoRequest: boolean;
  second: number;
};

const TCP = 6;

/** The place of a conversation, or of the one that gives way to it (`found` tells by its fingerprint). */
const place = (table: Connections, set: number, print: number, second: number): number => {
  let victim = set * WAYS;
  let victimAge = -1;
  for (let way = 0; way < WAYS; way += 1) {
    const at = set * WAYS + way;
    const state = table.state[at];
    if (state !== STATE.empty && table.fingerprint[at] === print) return at;
    const idle =
      state === STATE.empty ? Number.MAX_SAFE_INTEGER : second - (table.lastSecond[at] ?? 0);
    // Unfinished attempts give way before sessions: a flood must not wash the sessions out.
    const age = state === STATE.begun ? idle + 1_000 : idle;
    if (age > victimAge) {
      victim = at;
      victimAge = age;
    }
  }
  return victim;
};

const begin = (
  table: Connections,
  at: number,
  print: number,
  p: Segment,
  source: number,
  destination: number,
): void => {
  const { turn } = table;
  const tcp = p.protocol === TCP;
  const syn = tcp && (p.tcpFlags & TCP_FLAG.syn) !== 0;
  const synAck = syn && (p.tcpFlags & TCP_FLAG.ack) !== 0;
  const middle = tcp && !syn;
  // In the middle of a stream the service has the lower port.
  const reversed = synAck || (middle && p.sourcePort < p.destinationPort);
  table.fingerprint[at] = print;
  table.initiator[at] = reversed ? destination : source;
  table.expected[at] = synAck ? p.sequence + 1 : 0;
  table.bytes[at] = reversed ? 0 : p.payloadBytes;
  table.firstSecond[at] = p.second;
  table.lastSecond[at] = p.second;
  table.state[at] = synAck ? STATE.answered : middle ? STATE.midstream : STATE.begun;
  turn.fromInitiator = !reversed;
  if (middle && (p.tcpFlags & TCP_FLAG.rst) !== 0) {
    // A reset out of nowhere (backscatter of somebody's spoofing) begins nothing.
    table.state[at] = STATE.closed;
    return;
  }
  turn.began = true;
  turn.attempt = tcp ? syn && !synAck : p.protocol === 17 || p.echoRequest;
  turn.unanswered = !tcp;
};

const onTcp = (table: Connections, at: number, p: Segment): void => {
  const { turn } = table;
  const flags = p.tcpFlags;
  const state = table.state[at];
  if ((flags & TCP_FLAG.rst) !== 0) {
    if (state === STATE.closed) return;
    if (turn.fromInitiator) {
      // Before its handshake is complete, a reset proves nothing: whoever owns a forged address sends it, too.
      turn.probed = state === STATE.complete && (table.bytes[at] ?? 0) === 0;
      turn.closed = state === STATE.complete;
    } else {
      turn.refused = state === STATE.begun;
      turn.closed = state === STATE.complete;
    }
    table.state[at] = STATE.closed;
    return;
  }
  if ((flags & TCP_FLAG.syn) !== 0 && (flags & TCP_FLAG.ack) !== 0) {
    if (turn.fromInitiator || state !== STATE.begun) return;
    table.expected[at] = p.sequence + 1;
    table.state[at] = STATE.answered;
    turn.answered = true;
    return;
  }
  if ((flags & TCP_FLAG.syn) !== 0) return;
  if (turn.fromInitiator) {
    if (state === STATE.answered && p.acknowledgement === table.expected[at]) {
      table.state[at] = STATE.complete;
      turn.completed = true;
    } else if (state === STATE.begun && p.payloadBytes > 0 && (table.bytes[at] ?? 0) === 0) {
      // The answers take another way: no proof of the address, but no failed attempt either.
      turn.answered = true;
    }
    table.bytes[at] = (table.bytes[at] ?? 0) + p.payloadBytes;
  }
  if ((flags & TCP_FLAG.fin) !== 0 && table.state[at] === STATE.complete) {
    turn.closed = true;
    table.state[at] = STATE.closed;
  }
};

/** Follows one packet; the returned turn is valid until the next call. */
export const follow = (table: Connections, p: Segment): Turn => {
  const { turn } = table;
  turn.began = turn.attempt = turn.answered = turn.completed = false;
  turn.refused = turn.closed = turn.probed = turn.unanswered = false;
  turn.initiatorBytes = turn.seconds = 0;
  const source = pair(p.sourceHash, p.sourcePort);
  const destination = pair(p.destinationHash, p.destinationPort);
  const low = Math.min(source, destination);
  const high = Math.max(source, destination);
  const set = pair(low, high) & (table.sets - 1);
  const print = pair(high ^ p.protocol, low);
  const at = place(table, set, print, p.second);
  const known = table.state[at] !== STATE.empty && table.fingerprint[at] === print;
  const idle = p.second - (table.lastSecond[at] ?? 0);
  const opens = p.protocol === TCP && (p.tcpFlags & (TCP_FLAG.syn | TCP_FLAG.ack)) === TCP_FLAG.syn;
  const anew = known && (idle > IDLE_MAX_S || (opens && table.state[at] === STATE.closed));
  if (!known || anew) {
    begin(table, at, print, p, source, destination);
    return turn;
  }
  table.lastSecond[at] = p.second;
  turn.fromInitiator = table.initiator[at] === source;
  if (p.protocol === TCP) {
    onTcp(table, at, p);
    turn.initiatorBytes = table.bytes[at] ?? 0;
    turn.seconds = p.second - (table.firstSecond[at] ?? p.second);
    return turn;
  }
  if (!turn.fromInitiator && table.state[at] === STATE.begun) {
    table.state[at] = STATE.answered;
    turn.answered = true;
  }
  turn.unanswered = table.state[at] === STATE.begun;
  return turn;
};
