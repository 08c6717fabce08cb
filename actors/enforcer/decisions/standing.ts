/** Policies that the bus proves to be in force, whichever agents there are: what `decisions delete` looks among. */
import { provenPolicy, verifyCommitProof } from '#proto/commit-proof.ts';
import { type Cidr, formatCidr, hostCidr, overlaps, parseCidr, parseIp } from '#proto/ip.ts';
import { type PolicyTarget, parsePolicyRule, targetNetworks } from '#proto/policy.ts';
import { decodeControl, verifyControl } from '#proto/wire/control.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import type { Bus } from '#runtime/bus/driver.ts';
import type { Believed } from './fate.ts';
import { endsOf, GROUP } from './following.ts';

const PAGE_RECORDS = 512;
/** Empty answers in a row before a bus counts as one that does not answer. */
const SILENT_MAX = 50;
const PAUSE_MS = 100;

export type Standing = {
  readonly id: string;
  readonly action: string;
  readonly target: PolicyTarget;
  /** Unix ms. */
  readonly expiresMs: number;
  /** Of the anchor that proves it. */
  readonly height: number;
};

/** An id, or the network that a policy names. */
export type Wanted =
  | { readonly kind: 'id'; readonly id: string }
  | { readonly kind: 'network'; readonly network: Cidr };

export const wantedOf = (text: string): Wanted => {
  const address = parseIp(text);
  const network = address === undefined ? parseCidr(text) : hostCidr(address);
  return network === undefined ? { kind: 'id', id: text } : { kind: 'network', network };
};

const touches = (wanted: Wanted, id: string, target: PolicyTarget): boolean =>
  wanted.kind === 'id'
    ? wanted.id === id
    : targetNetworks(target).some((one) => overlaps(one, wanted.network));

/** What one update proves; undefined for what is forged, broken or about something else. */
const provenBy = (value: Uint8Array, wanted: readonly Wanted[], believed: Believed) => {
  const { trust, roles } = believed;
  const shape = decodeControl('policy-update', value);
  if (!shape.ok) return undefined;
  const { policyId: id, action, ruleData } = shape.value;
  const rule = parsePolicyRule(ruleData);
  if (!rule.ok || !wanted.some((one) => touches(one, id, rule.value.target))) return undefined;
  const context = { crypto: trust.crypto, roleOf: roles.roleOf };
  if (!verifyControl('policy-update', value, context).ok) return undefined;
  const proof = verifyCommitProof(shape.value.commitProof, trust, {
    policyId: id,
    action,
    ruleData,
  });
  if (!proof.ok) return undefined;
  const { expiresMs, status } = provenPolicy(proof.value);
  const { height } = proof.value;
  const standing = { id, action: rule.value.action, target: rule.value.target, expiresMs, height };
  return { standing, isOver: status === 'removed' };
};

const pause = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, PAUSE_MS));

/** All records that a topic holds now, oldest first within a partition. Rejects where the bus does not answer. */
const recordsOf = async function* (bus: Bus, topic: string): AsyncGenerator<Uint8Array> {
  const ends = await endsOf(bus, topic);
  let positions: readonly number[] = [];
  for (let silent = 0; ; ) {
    const page = await bus.fetch(topic, GROUP, positions, PAGE_RECORDS);
    if (page.outcome === 'ok') {
      for (const { value } of page.records) yield value;
      positions = page.positions;
      if (ends.every((end, part) => (positions[part] ?? 0) >= end)) return;
    }
    silent = page.outcome === 'ok' && page.records.length > 0 ? 0 : silent + 1;
    if (silent > SILENT_MAX) throw new Error(`the bus does not give what ${topic} holds`);
    if (silent > 0) await pause();
  }
};

/** Those in force that are called so, or whose networks touch what is asked for. */
export const standingPolicies = async (
  bus: Bus,
  wanted: readonly Wanted[],
  believed: Believed,
  nowMs: number,
): Promise<readonly Standing[]> => {
  const newest = new Map<string, { readonly standing: Standing; readonly isOver: boolean }>();
  for await (const value of recordsOf(bus, TOPICS.policyUpdates)) {
    const proven = provenBy(value, wanted, believed);
    if (proven === undefined) continue;
    const { id, height } = proven.standing;
    if ((newest.get(id)?.standing.height ?? -1) <= height) newest.set(id, proven);
  }
  return [...newest.values()].flatMap(({ standing, isOver }) =>
    isOver || standing.expiresMs <= nowMs ? [] : [standing],
  );
};

/** The policies that are meant by each word; the error says what there is instead. */
export const meant = (
  wanted: Wanted,
  standing: readonly Standing[],
): { readonly chosen: readonly Standing[]; readonly others: readonly Standing[] } => {
  if (wanted.kind === 'id') {
    return { chosen: standing.filter((one) => one.id === wanted.id), others: [] };
  }
  const name = formatCidr(wanted.network);
  const touching = standing.filter((one) => touches(wanted, one.id, one.target));
  const named = ({ target }: Standing): boolean => {
    const networks = targetNetworks(target);
    return networks.length === 1 && formatCidr(networks[0]!) === name;
  };
  return { chosen: touching.filter(named), others: touching.filter((one) => !named(one)) };
};
