/** Acknowledgements on their way to the bus: at least once, in order for a policy. */
import { TOPICS } from '#proto/wire/topics.ts';
import { bus } from '#runtime/bus/protocol.ts';
import { nextToSend, pendingAcks, returned } from './acks.ts';
import type { Fx, Self, State } from './state.ts';

const PUBLISH_DEADLINE_MS = 5000;
const RETRY_MS = 500;

export const sendAcks = (state: State, fx: Fx): void => {
  for (const ack of nextToSend(state.outbox, state.config.acksOpenMax)) {
    fx.ask(
      bus,
      {
        kind: 'publish',
        topic: TOPICS.policyAcks,
        key: ack.policyId,
        value: ack.bytes,
        headers: '{}',
      },
      { kind: 'published', id: ack.id },
      PUBLISH_DEADLINE_MS,
    );
  }
  fx.gauge('acks_waiting', pendingAcks(state.outbox));
  if (state.draining && pendingAcks(state.outbox) === 0) fx.stop('normal');
};

export const published = (
  state: State,
  message: Extract<Self, { kind: 'published' }>,
  fx: Fx,
): void => {
  const { id, result } = message;
  const isOut = result.ok && result.value.outcome === 'ok';
  if (returned(state.outbox, id, !isOut) === undefined) return;
  if (!isOut) return fx.after(RETRY_MS, { kind: 'send' }, 'send');
  fx.emit('stage_acked', 1);
  fx.io('acked', { id });
  sendAcks(state, fx);
};
