/**
 * What is to stand in the sets of a firewall, set by set and element by element, and what was written
 * there last. Several policies may want one element: it stays until the last of them ends. Pure.
 */
import type { Claim, Direction, Effect, Family } from './claims.ts';
import { type Box, disjoint } from './decomposition.ts';

/** A set of the firewall. `ranged`: its elements are pieces of a decomposition. */
export type SetSpec = {
  readonly name: string;
  readonly family: Family;
  readonly direction: Direction;
  readonly effect: Effect;
  /** What an element consists of; the backend's own word. */
  readonly shape: string;
  readonly ranged: boolean;
};

/** Where a claim goes: an element by its text, or a box of a ranged set. */
export type Place =
  | { readonly set: SetSpec; readonly key: string }
  | { readonly set: SetSpec; readonly box: Omit<Box, 'expiresMs'>; readonly lane: number };

export type Layout = {
  readonly place: (claim: Claim) => readonly Place[];
  /** The text of a piece of a ranged set. */
  readonly pieceText: (set: SetSpec, piece: Box, lane: number) => string;
};

export type Element = { readonly key: string; readonly expiresMs: number };
export type SetChange = {
  readonly set: SetSpec;
  /** Elements that stand there and must not, or not so long. */
  readonly gone: readonly string[];
  readonly fresh: readonly Element[];
};

/** Elements of a set with their expiry, Unix ms. */
export type Contents = Map<string, number>;

type Lanes = Map<number, Box[]>;
type Table = {
  readonly set: SetSpec;
  /** Of a set that is not ranged: who wants an element, until when. */
  readonly wanted: Map<string, Map<string, number>>;
  /** Of a ranged one: by policy, by lane (protocol). */
  readonly boxes: Map<string, Lanes>;
  /** Pieces by their text, as decomposed last. */
  pieces: Map<string, { readonly box: Box; readonly lane: number }>;
  written: Contents;
  readonly touched: Set<string>;
  isStale: boolean;
};

type Policy = { readonly places: readonly Place[]; readonly expiresMs: number };

/** The firewall may end an element so much earlier or later than asked. */
const SLACK_MS = 2500;

export const demand = (layout: Layout) => {
  const policies = new Map<string, Policy>();
  const tables = new Map<string, Table>();

  const put = (id: string, claims: readonly Claim[], expiresMs: number): void => {
    drop(id);
    const places = claims.flatMap(layout.place);
    policies.set(id, { places, expiresMs });
    for (const place of places) want(tableOf(tables, place.set), place, id, expiresMs);
  };
  const drop = (id: string): void => {
    for (const place of policies.get(id)?.places ?? []) {
      const table = tables.get(place.set.name);
      if (table === undefined) continue;
      unwant(table, place, id);
      // What was never written leaves nothing to take away.
      if (isEmpty(table) && table.written.size === 0) tables.delete(place.set.name);
    }
    policies.delete(id);
  };

  /** What has changed since the last call; from here on it counts as written. */
  const changes = (atMs: number): SetChange[] =>
    [...tables.values()].flatMap((table) => {
      const change = changeOf(table, layout, atMs);
      return change.gone.length + change.fresh.length === 0 ? [] : [change];
    });

  /** Every element of every set that is not empty; counts as written, and nothing else does. */
  const everything = (atMs: number): SetChange[] => {
    for (const [name, table] of tables) {
      table.written = new Map();
      for (const key of table.wanted.keys()) table.touched.add(key);
      table.isStale ||= table.set.ranged;
      if (isEmpty(table)) tables.delete(name);
    }
    return changes(atMs);
  };

  return {
    put,
    drop,
    has: (id: string): boolean => policies.has(id),
    ids: (): IterableIterator<string> => policies.keys(),
    setNames: (): IterableIterator<string> => tables.keys(),
    setCount: (): number => tables.size,
    changes,
    everything,
    /** Which policies stand whole in what was read, and how many elements nobody asked for. */
    compare: (read: ReadonlyMap<string, Contents>, atMs: number) =>
      compare(policies, tables, read, atMs),
  };
};

export type Demand = ReturnType<typeof demand>;

const isEmpty = ({ wanted, boxes }: Table): boolean => wanted.size + boxes.size === 0;

const tableOf = (tables: Map<string, Table>, set: SetSpec): Table => {
  const known = tables.get(set.name);
  if (known !== undefined) return known;
  const table: Table = {
    set,
    wanted: new Map(),
    boxes: new Map(),
    pieces: new Map(),
    written: new Map(),
    touched: new Set(),
    isStale: false,
  };
  tables.set(set.name, table);
  return table;
};

const want = (table: Table, place: Place, id: string, expiresMs: number): void => {
  if ('key' in place) {
    const wanting = table.wanted.get(place.key) ?? new Map<string, number>();
    table.wanted.set(place.key, wanting.set(id, expiresMs));
    table.touched.add(place.key);
    return;
  }
  const lanes = table.boxes.get(id) ?? new Map<number, Box[]>();
  const boxes = lanes.get(place.lane) ?? [];
  boxes.push({ ...place.box, expiresMs });
  table.boxes.set(id, lanes.set(place.lane, boxes));
  table.isStale = true;
};

const unwant = (table: Table, place: Place, id: string): void => {
  if ('key' in place) {
    const wanting = table.wanted.get(place.key);
    wanting?.delete(id);
    if (wanting?.size === 0) table.wanted.delete(place.key);
    table.touched.add(place.key);
    return;
  }
  table.boxes.delete(id);
  table.isStale = true;
};

/** The pieces of a ranged set by their text. */
const decompose = (table: Table, layout: Layout): Table['pieces'] => {
  const lanes: Lanes = new Map();
  for (const own of table.boxes.values()) {
    for (const [lane, boxes] of own) lanes.set(lane, [...(lanes.get(lane) ?? []), ...boxes]);
  }
  const pieces: Table['pieces'] = new Map();
  for (const [lane, boxes] of lanes) {
    for (const box of disjoint(boxes)) {
      pieces.set(layout.pieceText(table.set, box, lane), { box, lane });
    }
  }
  return pieces;
};

const changeOf = (table: Table, layout: Layout, atMs: number): SetChange => {
  const gone: string[] = [];
  const fresh: Element[] = [];
  const settle = (key: string, wantedMs: number): void => {
    const hasMs = table.written.get(key) ?? 0;
    const untilMs = wantedMs > atMs ? wantedMs : 0;
    if (hasMs === untilMs) return;
    // What has run out is gone from the firewall already.
    if (hasMs > atMs) gone.push(key);
    table.written.delete(key);
    if (untilMs === 0) return;
    fresh.push({ key, expiresMs: untilMs });
    table.written.set(key, untilMs);
  };
  for (const key of table.touched) {
    settle(key, Math.max(0, ...(table.wanted.get(key)?.values() ?? [])));
  }
  table.touched.clear();
  if (table.isStale) {
    table.pieces = decompose(table, layout);
    for (const key of [...table.written.keys()]) if (!table.pieces.has(key)) settle(key, 0);
    for (const [key, { box }] of table.pieces) settle(key, box.expiresMs);
    table.isStale = false;
  }
  return { set: table.set, gone, fresh };
};

export type Comparison = { readonly ids: ReadonlySet<string>; readonly foreign: number };

const NOTHING: Contents = new Map();

const compare = (
  policies: ReadonlyMap<string, Policy>,
  tables: ReadonlyMap<string, Table>,
  read: ReadonlyMap<string, Contents>,
  atMs: number,
): Comparison => {
  const missing = new Map<string, Set<string>>();
  let foreign = 0;
  for (const [name, table] of tables) {
    const actual = read.get(name) ?? NOTHING;
    const lost = new Set<string>();
    for (const [key, untilMs] of table.written) {
      const isDue = untilMs <= atMs + SLACK_MS;
      if (!isDue && Math.abs((actual.get(key) ?? 0) - untilMs) > SLACK_MS) lost.add(key);
    }
    if (lost.size > 0) missing.set(name, lost);
    for (const [key, untilMs] of actual) {
      if (!table.written.has(key) && untilMs > atMs + SLACK_MS) foreign++;
    }
  }
  for (const [name, actual] of read) if (!tables.has(name)) foreign += actual.size;
  const ids = new Set<string>();
  for (const [id, { places }] of policies) {
    if (!places.some((place) => isLost(place, missing, tables))) ids.add(id);
  }
  return { ids, foreign };
};

const isLost = (
  place: Place,
  missing: ReadonlyMap<string, ReadonlySet<string>>,
  tables: ReadonlyMap<string, Table>,
): boolean => {
  const lost = missing.get(place.set.name);
  if (lost === undefined) return false;
  if ('key' in place) return lost.has(place.key);
  const { box, lane } = place;
  return [...lost].some((key) => {
    const piece = tables.get(place.set.name)!.pieces.get(key);
    if (piece === undefined || piece.lane !== lane) return false;
    const { low, high, from, to } = piece.box;
    return low <= box.high && high >= box.low && from <= box.to && to >= box.from;
  });
};
