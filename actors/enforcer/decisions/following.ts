/** Publishes orders and reads the bus until what became of them is known, or the time is over. */
import { err, ok, type Result } from '#proto/result.ts';
import { TOPICS } from '#proto/wire/topics.ts';
import type { Bus, PublishOutcome } from '#runtime/bus/driver.ts';
import type { BusRecord } from '#runtime/bus/record.ts';
import {
  type Believed,
  FATE_TOPICS,
  type Fate,
  hear,
  isSettled,
  newFate,
  type Order,
} from './fate.ts';
import type { Signed } from './signing.ts';

/** A group that never commits: a command moves no consumer's mark. */
export const GROUP = 'decisions-reader';
const PAGE_RECORDS = 512;
const POLL_MS = 100;
/** After the first refusal the others are waited for so long: a proof may yet contradict it. */
const REFUSED_MS = 5000;
/** After the commit, agents have so long to answer. */
const ACK_MS = 15_000;
const TRIES = 5;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A busy broker may need a moment more than one question allows. */
export const endsOf = async (bus: Bus, topic: string): Promise<readonly number[]> => {
  for (let k = 1; ; k++) {
    try {
      return (await bus.ends(topic, GROUP)).ends;
    } catch (fault) {
      if (k === TRIES) throw fault;
      await pause(POLL_MS);
    }
  }
};

type Reader = { readonly topic: string; positions: readonly number[] };

/** What has come since the last look; nothing while the bus is busy. */
const newsOf = async (bus: Bus, reader: Reader): Promise<readonly BusRecord[]> => {
  const page = await bus.fetch(reader.topic, GROUP, reader.positions, PAGE_RECORDS);
  if (page.outcome !== 'ok') return [];
  reader.positions = page.positions;
  return page.records;
};

/** One order with all that is known of it. */
export type Followed = { readonly signed: Signed; readonly order: Order; readonly fate: Fate };

export type Patience = {
  readonly waitMs: number;
  readonly validators: number;
  readonly enforcers: number;
};

const SAYINGS: { readonly [outcome in PublishOutcome['outcome']]: string } = {
  ok: '',
  'too-large': 'the order is larger than the bus carries: split it',
  'unknown-topic': `the bus has no topic ${TOPICS.policy}: start a node that makes it`,
  unavailable: 'the bus does not take it: its disk is full, or no broker answers; try again',
};

const publish = async (
  bus: Bus,
  orders: readonly Signed[],
): Promise<Result<Followed[], string>> => {
  const outcomes = await bus.publish(
    orders.map(({ policyId, bytes }) => ({
      topic: TOPICS.policy,
      key: policyId,
      value: bytes,
      headers: {},
    })),
  );
  const followed: Followed[] = [];
  for (const [k, signed] of orders.entries()) {
    const outcome = outcomes[k]!;
    if (outcome.outcome !== 'ok') {
      const others = orders.length === 1 ? '' : '; others of this command may be carried out';
      return err(`${signed.policyId}: ${SAYINGS[outcome.outcome]}${others}`);
    }
    const { partition, offset } = outcome;
    const { policyId, action, ruleHash } = signed;
    const order = { policyId, action, ruleHash, partition, offset };
    followed.push({ signed, order, fate: newFate() });
  }
  return ok(followed);
};

/** Until when answers are waited for, on the clock of `performance.now`: less long once the validators have spoken. */
const deadlineOf = (
  fates: readonly Fate[],
  endMs: number,
  sinceMs: Map<Fate, number>,
  nowMs: number,
) => {
  let latest = 0;
  for (const fate of fates) {
    const hasWord = fate.height !== undefined || fate.refusals.length > 0;
    if (hasWord && !sinceMs.has(fate)) sinceMs.set(fate, nowMs);
    const since = sinceMs.get(fate);
    const graceMs = fate.height === undefined ? REFUSED_MS : ACK_MS;
    latest = Math.max(latest, since === undefined ? endMs : Math.min(endMs, since + graceMs));
  }
  return latest;
};

/** Rejects where the bus goes away: the orders may yet be carried out. */
export const carryOut = async (
  bus: Bus,
  orders: readonly Signed[],
  believed: Believed,
  { waitMs, validators, enforcers }: Patience,
): Promise<Result<readonly Followed[], string>> => {
  const readers: Reader[] = [];
  for (const topic of FATE_TOPICS) readers.push({ topic, positions: await endsOf(bus, topic) });
  const published = await publish(bus, orders);
  if (!published.ok) return published;
  const followed = published.value;
  const fates = followed.map((one) => one.fate);
  const endMs = performance.now() + waitMs;
  const sinceMs = new Map<Fate, number>();
  for (;;) {
    for (const reader of readers) {
      for (const record of await newsOf(bus, reader)) {
        for (const { fate, order } of followed) hear(fate, order, reader.topic, record, believed);
      }
    }
    const open = fates.filter((fate) => !isSettled(fate, validators, enforcers));
    const nowMs = performance.now();
    if (open.length === 0 || nowMs >= deadlineOf(open, endMs, sinceMs, nowMs)) return published;
    await pause(POLL_MS);
  }
};
