/**
 * Messages on their way to the bus, published again until it takes them. In memory only: a dead letter's record
 * stays unfinished until the bus has it, so a crash reads the record again; a lost report is the feedback's timeout.
 */
import type { Place } from './mempool.ts';

export type Parcel = {
  readonly id: number;
  readonly topic: string;
  readonly key: string;
  readonly value: Uint8Array;
  readonly headers: { readonly [name: string]: string };
  /** The record that is finished when this has been published; null for a report. */
  readonly settles: Place | null;
};

export type Outbox = {
  readonly waiting: Parcel[];
  readonly flying: Map<number, Parcel>;
  readonly waitingMax: number;
  /** The bus was not there: nothing flies until `wake`. */
  resting: boolean;
  nextId: number;
};

const FLYING_MAX = 32;

export const outbox = (waitingMax: number): Outbox => ({
  waiting: [],
  flying: new Map(),
  waitingMax,
  resting: false,
  nextId: 1,
});

export const outboxSize = (box: Outbox): number => box.waiting.length + box.flying.size;
export const isFull = (box: Outbox): boolean => outboxSize(box) >= box.waitingMax;

export const enclose = (box: Outbox, parcel: Omit<Parcel, 'id'>): void => {
  box.waiting.push({ ...parcel, id: box.nextId++ });
};

/** What may be published now; each has to come back by `landed` or `returned`. */
export const takeOff = (box: Outbox): readonly Parcel[] => {
  if (box.resting) return [];
  const parcels = box.waiting.splice(0, FLYING_MAX - box.flying.size);
  for (const parcel of parcels) box.flying.set(parcel.id, parcel);
  return parcels;
};

/** The bus has it (or can never take it): gone from here. */
export const landed = (box: Outbox, id: number): Parcel | undefined => {
  const parcel = box.flying.get(id);
  box.flying.delete(id);
  return parcel;
};

/** The bus could not take it now: first in line again, after a rest. */
export const returned = (box: Outbox, id: number): void => {
  const parcel = landed(box, id);
  if (parcel !== undefined) box.waiting.unshift(parcel);
  box.resting = true;
};

export const wake = (box: Outbox): void => {
  box.resting = false;
};
