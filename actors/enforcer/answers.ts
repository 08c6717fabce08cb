/** What the agent says of itself. */
import { pendingAcks } from './acks.ts';
import { inForce, viewOf } from './registry.ts';
import type { Fx, Self, State } from './state.ts';

const encoder = new TextEncoder();

export const listed = (state: State, message: Extract<Self, { kind: 'list' }>, fx: Fx): void => {
  const views = [...state.registry.entries.values()]
    .filter((entry) => !message.activeOnly || inForce(entry))
    .sort((a, b) => b.committedMs - a.committedMs || (a.id < b.id ? -1 : 1))
    .slice(0, message.limit)
    .map(viewOf);
  fx.reply(message.replyTo, { policies: encoder.encode(JSON.stringify(views)) });
};

export const summary = (
  state: State,
  message: Extract<Self, { kind: 'summary' }>,
  fx: Fx,
): void => {
  const byStatus: Record<string, number> = {};
  for (const { status } of state.registry.entries.values()) {
    byStatus[status] = (byStatus[status] ?? 0) + 1;
  }
  const { config, coverage, outbox, packets, brake, fault } = state;
  const json = {
    backend: config.backend,
    byStatus,
    coverage,
    acksWaiting: pendingAcks(outbox),
    packets,
    brake: brake ?? null,
    fault: fault ?? null,
  };
  fx.reply(message.replyTo, { json: encoder.encode(JSON.stringify(json)) });
};
