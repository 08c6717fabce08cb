/** Which lanes a system needs: exactly those of `sends`, and the ways back of their answers. */
import { laneBytes } from '#native/lanes/lane.ts';
import type { ActorSpec, LaneSettings } from '../spec.ts';
import { nearestOf, type Place, resolve } from './directory.ts';
import type { Link, Sending, ServiceTable } from './thread.ts';

export type Laid = {
  readonly links: readonly Link[];
  readonly services: ServiceTable;
  /** Addresses that found nobody: what is sent there becomes a dead letter. */
  readonly unresolved: readonly string[];
};

type Pair = {
  readonly from: number;
  readonly to: number;
  answersOnly: boolean;
  delivers: boolean;
};

/** Whom a sending means: the indices of all receivers, or why it means nobody. */
type Receivers = { readonly to: readonly number[]; readonly ambiguous?: string };

const receiversOf = (
  s: Sending,
  places: readonly Place[],
  offers: ServiceTable['offers'],
): Receivers => {
  const { path } = places[s.from]!;
  if (s.service === 'used') {
    const all = offers.flatMap((o) => (o.service === s.actor && o.actor !== s.from ? o.actor : []));
    return { to: nearestOf(places, path, all) };
  }
  const found = resolve(places, path, s.actor, s.branch);
  switch (found.found) {
    case 'one':
      return { to: [found.index] };
    case 'pool':
      return { to: found.members };
    case 'many': {
      const name = s.branch === undefined ? s.actor : `${s.branch}.${s.actor}`;
      const ambiguous = `${path} -> ${name} could mean ${found.paths.join(', ')}`;
      return { to: [], ambiguous };
    }
    case 'none':
      return { to: [] };
  }
};

const serviceTable = (sendings: readonly Sending[]): ServiceTable => {
  const offers = sendings
    .filter((s) => s.service === 'offered')
    .map((s) => ({ service: s.actor, actor: s.from }))
    .sort((a, b) => a.actor - b.actor);
  return { offers, memory: new SharedArrayBuffer(4 * Math.max(1, offers.length)) };
};

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
  const add = (from: number, to: number, answersOnly: boolean, delivers: boolean): void => {
    const key = `${from}>${to}`;
    const known = pairs.get(key);
    if (known === undefined) pairs.set(key, { from, to, answersOnly, delivers });
    else {
      known.answersOnly &&= answersOnly;
      known.delivers ||= delivers;
    }
  };
  const services = serviceTable(sendings);
  for (const s of sendings) {
    if (s.service === 'offered') continue;
    const found = receiversOf(s, places, services.offers);
    const name = s.branch === undefined ? s.actor : `${s.branch}.${s.actor}`;
    if (found.ambiguous !== undefined) ambiguous.push(found.ambiguous);
    else if (found.to.length === 0 && s.service === undefined) {
      unresolved.push(`${places[s.from]!.path} -> ${name}`);
    }
    for (const to of found.to) {
      add(s.from, to, false, s.delivers === true);
      if (s.answers) add(to, s.from, true, false);
    }
  }
  if (ambiguous.length > 0) throw new RangeError(`ambiguous addresses: ${ambiguous.join('; ')}`);
  const senders = new Map<number, number>();
  for (const { to, answersOnly } of pairs.values()) {
    if (!answersOnly) senders.set(to, (senders.get(to) ?? 0) + 1);
  }
  // The depth of a mailbox is shared out among its lanes, so that together they never hold more.
  const links = [...pairs.values()].map(({ from, to, answersOnly, delivers }): Link => {
    const { depth, onFull } = specs[to]!.mailbox;
    const depthMax = Math.max(1, Math.floor(depth / (senders.get(to) ?? 1)));
    const memory = new SharedArrayBuffer(laneBytes(settings.words));
    const confirmed = delivers ? { confirmed: new SharedArrayBuffer(8) } : {};
    return { from, to, memory, answersOnly, depthMax, onFull, ...confirmed };
  });
  return { links, services, unresolved };
};
