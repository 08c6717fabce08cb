/** Which lanes a system needs: exactly those of `sends`, and the ways back of their answers. */
import { laneBytes } from '#native/lanes/lane.ts';
import { type Place, resolve } from './directory.ts';
import type { ActorSpec, LaneSettings } from './spec.ts';
import type { Link, Sending } from './thread.ts';

export type Laid = {
  readonly links: readonly Link[];
  /** Addresses that found nobody: what is sent there becomes a dead letter. */
  readonly unresolved: readonly string[];
};

type Pair = { readonly from: number; readonly to: number; answersOnly: boolean };

/** Throws a RangeError that names every address which could mean several actors. */
export const layLanes = (
  places: readonly Place[],
  specs: readonly ActorSpec[],
  sendings: readonly Sending[],
  settings: LaneSettings,
): Laid => {
  const pairs = new Map<string, Pair>();
  const unresolved: string[] = [];
  const ambiguous: string[] = [];
  const add = (from: number, to: number, answersOnly: boolean): void => {
    const key = `${from}>${to}`;
    const known = pairs.get(key);
    if (known === undefined) pairs.set(key, { from, to, answersOnly });
    else known.answersOnly &&= answersOnly;
  };
  for (const s of sendings) {
    const { path } = places[s.from]!;
    const name = s.branch === undefined ? s.actor : `${s.branch}.${s.actor}`;
    const found = resolve(places, path, s.actor, s.branch);
    if (found.found === 'none') unresolved.push(`${path} -> ${name}`);
    else if (found.found === 'many') {
      ambiguous.push(`${path} -> ${name} could mean ${found.paths.join(', ')}`);
    } else {
      add(s.from, found.index, false);
      if (s.answers) add(found.index, s.from, true);
    }
  }
  if (ambiguous.length > 0) throw new RangeError(`ambiguous addresses: ${ambiguous.join('; ')}`);
  const senders = new Map<number, number>();
  for (const { to, answersOnly } of pairs.values()) {
    if (!answersOnly) senders.set(to, (senders.get(to) ?? 0) + 1);
  }
  // The depth of a mailbox is shared out among its lanes, so that together they never hold more.
  const links = [...pairs.values()].map(({ from, to, answersOnly }): Link => {
    const { depth, onFull } = specs[to]!.mailbox;
    const depthMax = Math.max(1, Math.floor(depth / (senders.get(to) ?? 1)));
    const memory = new SharedArrayBuffer(laneBytes(settings.words));
    return { from, to, memory, answersOnly, depthMax, onFull };
  });
  return { links, unresolved };
};
