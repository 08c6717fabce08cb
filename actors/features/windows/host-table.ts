/**
 * The addresses of one side that are worth remembering: bounded. An address is a candidate first and gets its 16 KiB
 * with its third packet, so that a flood of invented sources costs a number each; a full table gives
 * the place of the lightest of a few neighbours (space-saving by sampling, in a fixed order).
 */
import { type Host, newHost, recycle } from './host.ts';

export type HostKey = number | string;

export type HostTable = {
  readonly hosts: Map<HostKey, number>;
  readonly places: Host[];
  readonly keys: (HostKey | undefined)[];
  readonly candidates: Map<HostKey, number>;
  readonly hostsMax: number;
  hand: number;
  evicted: number;
};

/** Packets before an address is remembered in full. */
const PROMOTED_AT = 3;
const CANDIDATES_PER_HOST = 4;
const NEIGHBOURS = 8;

export const newHostTable = (hostsMax: number): HostTable => ({
  hosts: new Map(),
  places: [],
  keys: [],
  candidates: new Map(),
  hostsMax,
  hand: 0,
  evicted: 0,
});

export const clearHostTable = (table: HostTable): void => {
  table.hosts.clear();
  table.candidates.clear();
  table.keys.fill(undefined);
  table.hand = 0;
};

const V4_PREFIX = 0xffff0000;

/** A number for IPv4, text for IPv6: cheap to look up, never equal for two addresses. */
export const keyOf = (view: DataView, offset: number): HostKey => {
  const a = view.getUint32(offset, true);
  const b = view.getUint32(offset + 4, true);
  const c = view.getUint32(offset + 8, true);
  const d = view.getInt32(offset + 12, true);
  return (a | b) === 0 && c === V4_PREFIX ? d : `${a}:${b}:${c}:${d}`;
};

const freePlace = (table: HostTable): number => {
  if (table.places.length < table.hostsMax) {
    table.places.push(newHost());
    table.keys.push(undefined);
    return table.places.length - 1;
  }
  let lightest = -1;
  for (let i = 0; i < NEIGHBOURS; i += 1) {
    const at = table.hand;
    table.hand = (table.hand + 1) % table.places.length;
    if (table.keys[at] === undefined) return at;
    // Who still waits for its records keeps its place unless all neighbours do.
    const weight = (at_: number): number =>
      (table.places[at_]?.weight ?? 0) + (table.places[at_]?.dirty ? 1e9 : 0);
    if (lightest < 0 || weight(at) < weight(lightest)) lightest = at;
  }
  return lightest;
};

/** The host of a key, or undefined while it is a candidate. Its address stands at `offset` of `view`. */
export const touch = (
  table: HostTable,
  key: HostKey,
  view: DataView,
  offset: number,
): Host | undefined => {
  const at = table.hosts.get(key);
  if (at !== undefined) return table.places[at];
  const seen = (table.candidates.get(key) ?? 0) + 1;
  if (seen < PROMOTED_AT) {
    if (table.candidates.size >= table.hostsMax * CANDIDATES_PER_HOST) {
      const oldest = table.candidates.keys().next();
      if (!oldest.done) table.candidates.delete(oldest.value);
    }
    table.candidates.set(key, seen);
    return undefined;
  }
  table.candidates.delete(key);
  const place = freePlace(table);
  const host = table.places[place];
  if (host === undefined) return undefined;
  const old = table.keys[place];
  if (old !== undefined) {
    table.hosts.delete(old);
    table.evicted += 1;
  }
  recycle(host, view, offset);
  table.keys[place] = key;
  table.hosts.set(key, place);
  return host;
};

/** Frees the places of hosts that were last seen before `second`. */
export const forget = (table: HostTable, second: number): void => {
  for (let at = 0; at < table.places.length; at += 1) {
    const key = table.keys[at];
    const host = table.places[at];
    if (key === undefined || host === undefined || host.dirty) continue;
    if (host.lastSecond >= second) continue;
    table.hosts.delete(key);
    table.keys[at] = undefined;
  }
};
