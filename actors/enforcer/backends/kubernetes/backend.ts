/**
 * NetworkPolicies that deny addresses to pods. The API allows and never forbids: "all but these" is the only
 * way to deny, and it holds only while nobody else's policy selects the same pods. What cannot hold is refused.
 */
import { type Cidr, parseCidr } from '#proto/ip.ts';
import { err, ok, type Result } from '#proto/result.ts';
import {
  type Applied,
  applied,
  type Backend,
  type Census,
  type Fault,
  failed,
  NO_PACKETS,
} from '../../backend.ts';
import type { Entry } from '../../registry.ts';
import { type PolicyApi, policyApi } from './api.ts';
import { type Connection, type ConnectionOptions, connect } from './connection.ts';
import { type Ground, surveyGround } from './ground.ts';
import { type Body, openBody, type Site } from './objects.ts';
import { type Wish, wishOf } from './refusals.ts';
import { beside, beyond, bodiesFor, groupsFor, idsAbout, type Refused } from './wanted.ts';
import { compareAll, readAll, settle, type View, type Wanted } from './writing.ts';

export type KubernetesOptions = ConnectionOptions &
  Site & {
    readonly namespaces: readonly string[];
    /** As address/prefix. */
    readonly clusterNetworks: readonly string[];
    readonly cniEnforces: boolean;
    readonly sourcesPreserved: boolean;
    readonly exceptionsMax: number;
    /** Unix milliseconds. */
    readonly now: () => number;
  };

type Held = {
  readonly options: KubernetesOptions;
  readonly cluster: readonly Cidr[];
  /** What is to stand, in the order in which it was asked for. */
  readonly wishes: Map<string, Wish>;
  /** Of these, what was answered as failed because a write failed: it may stand, and nobody was told so. */
  readonly owed: Set<string>;
  link: { readonly connection: Connection; readonly api: PolicyApi } | undefined;
  /** As it was seen last. */
  ground: { readonly seen: Ground; readonly atMs: number } | undefined;
};

/** A network plugin is not exchanged from one moment to the next. */
const GROUND_MS = 30_000;
const ALONE = 'what is neither TCP, UDP nor SCTP is denied with them';

const linked = async (held: Held): Promise<Result<NonNullable<Held['link']>, Fault>> => {
  if (held.link !== undefined) return ok(held.link);
  const connected = await connect(held.options);
  if (!connected.ok) return connected;
  const connection = connected.value;
  held.link = { connection, api: policyApi(connection, held.options.owner) };
  return ok(held.link);
};

/** What enforces, and what it cannot; a fault where that cannot be seen. */
const ground = async (held: Held, connection: Connection): Promise<Result<Ground, Fault>> => {
  const { options, cluster } = held;
  const atMs = options.now();
  const known = held.ground;
  if (known !== undefined && atMs >= known.atMs && atMs - known.atMs < GROUND_MS) {
    return ok(known.seen);
  }
  const found = await surveyGround(connection, { ...options, clusterNetworks: cluster });
  if (found.ok) held.ground = { seen: found.value, atMs };
  return found;
};

const objected = (reason: string): Fault => ({ code: 'not-enforceable', reason });

/** What of the wishes cannot be; they are given up, and their objects with them. */
const giveUp = (held: Held, refused: Refused, faults: Map<string, Fault>): void => {
  for (const [id, fault] of refused) {
    held.wishes.delete(id);
    faults.set(id, fault);
  }
};

const judged = (held: Held, view: View, { hidden }: Ground, faults: Map<string, Fault>): Wanted => {
  const { wishes, options } = held;
  giveUp(held, beside(wishes, view.others, hidden, options), faults);
  giveUp(held, beyond(wishes, options.namespaces, options.exceptionsMax), faults);
  const made = new Map<string, readonly Body[]>();
  return (group) => {
    const key = `${group.namespace} ${group.direction}`;
    const bodies = made.get(key) ?? bodiesFor(options, group, wishes);
    made.set(key, bodies);
    return bodies;
  };
};

/** Everything that is wished for, and nothing else, stands when it is done; `faults` says what was given up. */
const write = async (held: Held, faults: Map<string, Fault>): Promise<Result<void, Fault>> => {
  const link = await linked(held);
  if (!link.ok) return link;
  const { connection, api } = link.value;
  const found = await ground(held, connection);
  if (!found.ok) return found;
  const { objection } = found.value;
  if (objection !== undefined) {
    const fault = objected(objection);
    giveUp(held, new Map([...held.wishes.keys()].map((id) => [id, fault])), faults);
  }
  const { options } = held;
  return settle(api, options, options.namespaces, (view) =>
    judged(held, view, found.value, faults),
  );
};

/** Ends are told of what is in force only. */
const forgetOwed = ({ owed, wishes }: Held, atMs: number): void => {
  for (const id of owed) {
    const wish = wishes.get(id);
    if (wish !== undefined && wish.entry.expiresMs > atMs) continue;
    owed.delete(id);
    wishes.delete(id);
  }
};

/**
 * One outcome each. What a fault kept from being written is still wished for, so that the next write does not
 * lift what stands of it, but counts as in force only when it was asked for again and written.
 */
const bring = async (
  held: Held,
  entries: readonly Entry[],
  atMs: number,
): Promise<readonly Applied[]> => {
  const faults = new Map<string, Fault>();
  const { options, cluster, wishes, owed } = held;
  forgetOwed(held, atMs);
  for (const entry of entries) {
    wishes.delete(entry.id);
    owed.delete(entry.id);
    const wish = wishOf(entry, options.namespaces, cluster);
    if (entry.expiresMs <= atMs) {
      faults.set(entry.id, { code: 'expired', reason: 'its time is over' });
    } else if (!wish.ok) faults.set(entry.id, objected(wish.error));
    else wishes.set(entry.id, wish.value);
  }
  const written = await write(held, faults);
  return entries.map((entry) => {
    const fault = faults.get(entry.id);
    if (fault !== undefined) return failed(entry, fault);
    if (written.ok) return applied(entry, wishes.get(entry.id)?.isPartial ? ALONE : '');
    owed.add(entry.id);
    return failed(entry, written.error);
  });
};

const census = async (held: Held): Promise<Result<Census, Fault>> => {
  const link = await linked(held);
  if (!link.ok) return link;
  const { connection, api } = link.value;
  const { options, wishes, owed } = held;
  const found = await ground(held, connection);
  if (!found.ok) return found;
  const { objection, hidden } = found.value;
  const view = await readAll(api, options, options.namespaces);
  if (!view.ok) return view;
  const wanted: Wanted = (group) => bodiesFor(options, group, wishes);
  const { sound, foreign } = compareAll(options, view.value, options.namespaces, wanted);
  // One object that differs lets through what the others deny.
  const lost = new Set(beside(wishes, view.value.others, hidden, options).keys());
  const intact = new Set([...sound].map(({ namespace, direction }) => `${namespace} ${direction}`));
  for (const group of groupsFor(options.namespaces)) {
    if (intact.has(`${group.namespace} ${group.direction}`)) continue;
    for (const id of idsAbout(wishes, group, false)) lost.add(id);
  }
  const ids =
    objection === undefined
      ? [...wishes.keys()].filter((id) => !lost.has(id) && !owed.has(id))
      : [];
  return ok({ ids: new Set(ids), foreign, packets: NO_PACKETS });
};

/** Asks for everything that will be needed, and changes nothing. */
const probe = async (held: Held): Promise<Result<void, Fault>> => {
  const link = await linked(held);
  if (!link.ok) return link;
  const { connection, api } = link.value;
  const { options } = held;
  const view = await readAll(api, options, options.namespaces);
  if (!view.ok) return view;
  for (const group of groupsFor(options.namespaces)) {
    const open = openBody(options, group);
    const { name, namespace } = open.metadata;
    const over = view.value.own.get(namespace)?.find((seen) => seen.name === name);
    const tried = await api.apply(open, { dryRun: true, over });
    if (!tried.ok) {
      const isAbsent = tried.error.status === 404;
      const remedy = `namespace ${namespace} is not there: make it, or take it out of kubernetes.namespaces`;
      return err(isAbsent ? { code: 'rejected', reason: remedy } : tried.error);
    }
    const removed = await api.remove({ name, namespace, uid: '' }, true);
    if (!removed.ok) return removed;
  }
  held.ground = undefined;
  const found = await ground(held, connection);
  if (!found.ok) return found;
  const { objection } = found.value;
  return objection === undefined ? ok(undefined) : err(objected(objection));
};

export const kubernetesBackend = (options: KubernetesOptions): Backend => {
  const held: Held = {
    options,
    cluster: options.clusterNetworks.flatMap((text) => parseCidr(text) ?? []),
    wishes: new Map(),
    owed: new Set(),
    link: undefined,
    ground: undefined,
  };
  return {
    name: 'kubernetes',
    probe: () => probe(held),
    restore: (entries, atMs) => {
      held.wishes.clear();
      return bring(held, entries, atMs);
    },
    change: (entries, gone, atMs) => {
      for (const id of gone) held.wishes.delete(id);
      return bring(held, entries, atMs);
    },
    census: () => census(held),
    clear: async () => {
      held.wishes.clear();
      const link = await linked(held);
      if (!link.ok) return link;
      return settle(link.value.api, options, options.namespaces, () => () => []);
    },
    // What is in force stays so; a NetworkPolicy has no end of its own, so the next start takes what is over.
    close: async () => {
      await held.link?.connection.close();
      held.link = undefined;
    },
  };
};
