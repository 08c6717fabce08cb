/**
 * How fast policies come into force at this agent, and what came into force for one target last. Every answer is a binary
 * search in what is remembered, oldest first: no policy pays for all those before it. Pure but for its memory.
 */
import type { Admission } from './admissions.ts';

export const MINUTE_MS = 60_000;
/**
 * The newest so many are remembered, some 700 bytes each, and those of the last minute however many they are. Whoever
 * asks about more is told so by `knowsSince`.
 */
export const REMEMBERED_MAX = 32_768;
/** Places of what is forgotten, before they are given up. */
const KEPT_MAX = 1024;

/** Oldest first; those before `next` are forgotten. */
type Line = { items: Admission[]; next: number };

/** Of one target: what came before a milder (a shorter) one is no more needed to find the mildest (the shortest). */
type Target = {
  /** Falling in packets a second: the first since a moment is the mildest since then. */
  readonly mildest: Line;
  /** Rising in seconds: the first since a moment is the shortest since then. */
  readonly shortest: Line;
};

export type Pace = {
  readonly rememberedMax: number;
  readonly all: Line;
  readonly tenant: Map<string, Line>;
  readonly region: Map<string, Line>;
  readonly targets: Map<string, Target>;
};

/** Given with its first, because most targets have one: an array that is pushed to takes room for many. */
const newLine = (items: Admission[]): Line => ({ items, next: 0 });

const lengthOf = ({ items, next }: Line): number => items.length - next;

/** The place of the first one after `sinceMs`. */
const firstSince = ({ items, next }: Line, sinceMs: number): number => {
  let low = next;
  let high = items.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (items[middle]!.atMs > sinceMs) high = middle;
    else low = middle + 1;
  }
  return low;
};

const forgetFirst = (line: Line): void => {
  line.next++;
  if (line.next < KEPT_MAX || line.next * 2 < line.items.length) return;
  line.items = line.items.slice(line.next);
  line.next = 0;
};

const join = (lines: Map<string, Line>, name: string, one: Admission): void => {
  const line = lines.get(name);
  if (line === undefined) lines.set(name, newLine([one]));
  else line.items.push(one);
};

/** Puts one at the end; those before it that it makes needless go. */
const stand = (line: Line, one: Admission, isCovered: (last: Admission) => boolean): void => {
  while (lengthOf(line) > 0 && isCovered(line.items.at(-1)!)) line.items.pop();
  line.items.push(one);
};

const standFor = (targets: Pace['targets'], one: Admission): void => {
  const target = targets.get(one.target);
  if (target === undefined) {
    targets.set(one.target, { mildest: newLine([one]), shortest: newLine([one]) });
    return;
  }
  stand(target.mildest, one, (last) => last.passesPerS <= one.passesPerS);
  stand(target.shortest, one, (last) => last.ttlS >= one.ttlS);
};

const forgetOf = (lines: Map<string, Line>, name: string): void => {
  const line = lines.get(name)!;
  forgetFirst(line);
  if (lengthOf(line) === 0) lines.delete(name);
};

const forgetOldest = (pace: Pace): void => {
  const oldest = pace.all.items[pace.all.next]!;
  forgetFirst(pace.all);
  forgetOf(pace.tenant, oldest.tenant);
  forgetOf(pace.region, oldest.region);
  const target = pace.targets.get(oldest.target)!;
  for (const line of [target.mildest, target.shortest]) {
    if (line.items[line.next] === oldest) forgetFirst(line);
  }
  // The newest of a target stands in both of its lines.
  if (lengthOf(target.mildest) === 0) pace.targets.delete(oldest.target);
};

/** A clock that was put back stands still here until it has caught up: what came later counts as later. */
const steady = ({ all }: Pace, atMs: number): number => Math.max(atMs, all.items.at(-1)?.atMs ?? 0);

/** So long before now. */
export const before = (pace: Pace, lengthMs: number, atMs: number): number =>
  steady(pace, atMs) - lengthMs;

/** One that comes into force. */
export const admit = (pace: Pace, said: Admission): Admission => {
  const atMs = steady(pace, said.atMs);
  const one = atMs === said.atMs ? said : { ...said, atMs };
  pace.all.items.push(one);
  join(pace.tenant, one.tenant, one);
  join(pace.region, one.region, one);
  standFor(pace.targets, one);
  while (
    lengthOf(pace.all) > pace.rememberedMax &&
    pace.all.items[pace.all.next]!.atMs <= one.atMs - MINUTE_MS
  ) {
    forgetOldest(pace);
  }
  return one;
};

/**
 * Of what was remembered before, oldest first. What is later than now, or than what came after it, is from a clock that
 * was ahead: it counts as of then, so that a restart ends the clock's standing still.
 */
export const newPace = (
  remembered: readonly Admission[],
  nowMs: number,
  rememberedMax = REMEMBERED_MAX,
): Pace => {
  const pace: Pace = {
    rememberedMax,
    all: newLine([]),
    tenant: new Map(),
    region: new Map(),
    targets: new Map(),
  };
  let latestMs = nowMs;
  const corrected = remembered.toReversed().map((one) => {
    latestMs = Math.min(latestMs, one.atMs);
    return { ...one, atMs: latestMs };
  });
  for (const one of corrected.reverse()) admit(pace, one);
  return pace;
};

const countIn = (line: Line | undefined, sinceMs: number): number =>
  line === undefined ? 0 : line.items.length - firstSince(line, sinceMs);

/** Of those remembered; all there were where `knowsSince` says so. */
export const countSince = ({ all }: Pace, sinceMs: number): number => countIn(all, sinceMs);

export const lastMinute = (pace: Pace, atMs: number): number =>
  countSince(pace, before(pace, MINUTE_MS, atMs));

export const lastMinuteOf = (
  pace: Pace,
  kind: 'tenant' | 'region',
  name: string,
  atMs: number,
): number => countIn(pace[kind].get(name), before(pace, MINUTE_MS, atMs));

/** False where something that came after `sinceMs` may be forgotten. */
export const knowsSince = ({ all, rememberedMax }: Pace, sinceMs: number): boolean =>
  lengthOf(all) < rememberedMax || all.items[all.next]!.atMs <= sinceMs;

/** Of those for a target that came into force after `sinceMs`; undefined where there is none. */
export const mildestSince = (
  { targets }: Pace,
  name: string,
  sinceMs: number,
): { readonly passesPerS: number; readonly ttlS: number } | undefined => {
  const target = targets.get(name);
  if (target === undefined) return undefined;
  const { mildest, shortest } = target;
  const mild = mildest.items[firstSince(mildest, sinceMs)];
  const short = shortest.items[firstSince(shortest, sinceMs)];
  if (mild === undefined || short === undefined) return undefined;
  return { passesPerS: mild.passesPerS, ttlS: short.ttlS };
};
