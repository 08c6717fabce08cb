/** Endless made-up traffic as PACKET records, a function of the seed and of time alone. */
import { PACKET } from '#proto/flow-batch.ts';
import type { SyntheticConfig } from '../config.ts';
import { attackPackets, ROUND, ROUND_S } from './attacks.ts';
import { PACKETS_PER_VISIT, visit } from './benign.ts';
import { type Random, random } from './random.ts';
import type { Planned } from './session.ts';

export type Generator = {
  /** Packets due until `untilUs`, at most `countMax`; fewer than that means that all were given. */
  take(untilUs: number, countMax: number): { readonly count: number; readonly bytes: Uint8Array };
};

/** Packets planned ahead, the earliest on top: a binary heap. */
type Heap = Planned[];

const push = (heap: Heap, planned: Planned): void => {
  let at = heap.push(planned) - 1;
  while (at > 0) {
    const above = (at - 1) >> 1;
    if (heap[above]!.timeUs <= planned.timeUs) break;
    heap[at] = heap[above]!;
    at = above;
  }
  heap[at] = planned;
};

const pop = (heap: Heap): Planned => {
  const top = heap[0]!;
  const last = heap.pop()!;
  if (heap.length === 0) return top;
  let at = 0;
  for (;;) {
    let below = at * 2 + 1;
    if (below >= heap.length) break;
    if (below + 1 < heap.length && heap[below + 1]!.timeUs < heap[below]!.timeUs) below += 1;
    if (heap[below]!.timeUs >= last.timeUs) break;
    heap[at] = heap[below]!;
    at = below;
  }
  heap[at] = last;
  return top;
};

const { offset: P, size: SIZE } = PACKET;
const IP_HEADER_BYTES = 20;
const V4_MAPPED = 0xffff_0000;

const write = (view: DataView, row: number, packet: Planned, number: number): void => {
  const base = row * SIZE;
  const { headerBytes, payloadBytes } = packet;
  view.setFloat64(base + P.timeUs, packet.timeUs, true);
  view.setFloat64(base + P.number, number, true);
  view.setUint32(base + P.source + 8, V4_MAPPED, true);
  view.setUint32(base + P.source + 12, packet.source, false);
  view.setUint32(base + P.destination + 8, V4_MAPPED, true);
  view.setUint32(base + P.destination + 12, packet.destination, false);
  view.setUint32(base + P.ipBytes, IP_HEADER_BYTES + headerBytes + payloadBytes, true);
  view.setUint32(base + P.payloadBytes, payloadBytes, true);
  view.setUint32(base + P.tcpSequence, packet.sequence, true);
  view.setUint32(base + P.tcpAcknowledgement, packet.acknowledgement, true);
  view.setUint16(base + P.sourcePort, packet.sourcePort, true);
  view.setUint16(base + P.destinationPort, packet.destinationPort, true);
  view.setUint16(base + P.headerBytes, headerBytes, true);
  view.setUint16(base + P.windowBytes, packet.windowBytes, true);
  view.setUint16(base + P.labelIndex, packet.label, true);
  view.setUint8(base + P.protocol, packet.protocol);
  view.setUint8(base + P.tcpFlags, packet.flags);
  view.setUint8(base + P.ttl, packet.ttl);
};

type Plan = { nextVisitUs: number; round: number; nextAttack: number };

/** Where the next attack of the plan stands in time, microseconds. */
const attackAtUs = (config: SyntheticConfig, startUs: number, plan: Plan): number => {
  const roundS = config.attackDelayS + plan.round * (ROUND_S + config.attackPauseS);
  return startUs + (roundS + (ROUND[plan.nextAttack]?.afterS ?? 0)) * 1e6;
};

/** `startUs`: where the traffic begins, microseconds since 1970. */
export const generator = (config: SyntheticConfig, startUs: number): Generator => {
  const benign: Random = random(config.seed);
  const hostile: Random = random(config.seed ^ 0x5eed);
  const heap: Heap = [];
  const visitsPerSecond = config.ratePps / PACKETS_PER_VISIT;
  const plan: Plan = { nextVisitUs: startUs, round: 0, nextAttack: 0 };
  let number = 0;

  const planUntil = (untilUs: number): void => {
    while (plan.nextVisitUs <= untilUs) {
      for (const packet of visit(benign, plan.nextVisitUs)) push(heap, packet);
      plan.nextVisitUs += benign.gapUs(visitsPerSecond);
    }
    while (config.attacks && attackAtUs(config, startUs, plan) <= untilUs) {
      const attack = ROUND[plan.nextAttack];
      if (attack !== undefined) {
        const atUs = attackAtUs(config, startUs, plan);
        for (const packet of attackPackets(hostile, attack.attack, atUs)) push(heap, packet);
      }
      plan.nextAttack = (plan.nextAttack + 1) % ROUND.length;
      if (plan.nextAttack === 0) plan.round += 1;
    }
  };
  return {
    take: (untilUs, countMax) => {
      planUntil(untilUs);
      const bytes = new Uint8Array(countMax * SIZE);
      const view = new DataView(bytes.buffer);
      let count = 0;
      while (count < countMax && heap.length > 0 && heap[0]!.timeUs <= untilUs) {
        number += 1;
        write(view, count, pop(heap), number);
        count += 1;
      }
      return { count, bytes: bytes.subarray(0, count * SIZE) };
    },
  };
};
