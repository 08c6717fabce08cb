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
import { type GroundOptions, surveyGround } from './ground.ts';
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
    readonly exceptionsMax: number;
    /** Unix milliseconds. */
    readonly now: () => number;
  };

type Held = {
  readonly options: KubernetesOptions;
  readonly cluster: readonly Cidr[];
  readonly wishes: Map<string, Wish>;
  link: { readonly connection: Connection; readonly api: PolicyApi } | undefined;
  /** Why nothing can be enforced here, as it was seen last. */
  ground: { readonly objection: string | undefined; readonly seenMs: number } | undefined;
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

/** The objection to enforcing at all, or a fault where it cannot be seen. */
const ground = async (
  held: Held,
  connection: Connection,
): Promise<Result<string | undefined, Fault>> => {
  const { options, cluster } = held;
  const atMs = options.now();
  const known = held.ground;
  if (known !== undefined && atMs >= known.seenMs && atMs - known.seenMs < GROUND_MS) {
    return ok(known.objection);
  }
  const about: GroundOptions = { ...options, clusterNetworks: cluster };
  const found = await surveyGround(connection, about);
  if (!found.ok) return found;
  held.ground = { objection: found.value, seenMs: atMs };
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

const judged = (held: Held, view: View, faults: Map<string, Fault>): Wanted => {
  const { wishes, options } = held;
  giveUp(held, beside(wishes, view.others, options), faults);
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
  if (found.value !== undefined) {
    const fault = objected(found.value);
    giveUp(held, new Map([...held.wishes.keys()].map((id) => [id, fault])), faults);
  }
  const { options } = held;
  return settle(api, options, options.namespaces, (view) => judged(held, view, faults));
};

/** One outcome each. What failed to be written is wished for no more until it is asked for again. */
const bring = async (
  held: Held,
  entries: readonly Entry[],
  atMs: number,
): Promise<readonly Applied[]> => {
  const faults = new Map<string, Fault>();
  const { options, cluster, wishes } = held;
  for (const entry of entries) {
    wishes.delete(entry.id);
    const wish = wishOf(entry, options.namespaces, cluster);
    if (entry.expiresMs <= atMs) {
      faults.set(entry.id, { code: 'expired', reason: 'its time is over' });
    } else if (!wish.ok) faults.set(entry.id, objected(wish.error));
    else wishes.set(entry.id, wish.value);
  }
  const written = await write(held, faults);
  return entries.map((entry) => {
    const fault = faults.get(entry.id) ?? (written.ok ? undefined : written.error);
    if (fault === undefined) return applied(entry, wishes.get(entry.id)?.isPartial ? ALONE : '');
    wishes.delete(entry.id);
    return failed(entry, fault);
  });
};

const census = async (held: Held): Promise<Result<Census, Fault>> => {
  const link = await linked(held);
  if (!link.ok) return link;
  const { connection, api } = link.value;
  const { options, wishes } = held;
  const found = await ground(held, connection);
  if (!found.ok) return found;
  const view = await readAll(api, options, options.namespaces);
  if (!view.ok) return view;
  const wanted: Wanted = (group) => bodiesFor(options, group, wishes);
  const { sound, foreign } = compareAll(options, view.value, options.namespaces, wanted);
  // One object that differs lets through what the others deny.
  const lost = new Set(beside(wishes, view.value.others, options).keys());
  const intact = new Set([...sound].map(({ namespace, direction }) => `${namespace} ${direction}`));
  for (const group of groupsFor(options.namespaces)) {
    if (intact.has(`${group.namespace} ${group.direction}`)) continue;
    for (const id of idsAbout(wishes, group)) lost.add(id);
  }
  const ids = found.value === undefined ? [...wishes.keys()].filter((id) => !lost.has(id)) : [];
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
  return found.value === undefined ? ok(undefined) : err(objected(found.value));
};

export const kubernetesBackend = (options: KubernetesOptions): Backend => {
  const held: Held = {
    options,
    cluster: options.clusterNetworks.flatMap((text) => parseCidr(text) ?? []),
    wishes: new Map(),
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
