/** Publishing of dead letters and reports: again until the bus takes them. */
import { bus } from '#runtime/bus/protocol.ts';
import { commitMark } from '#runtime/bus/subscription.ts';
import { finish } from './admission.ts';
import { enclose, landed, type Outbox, returned, takeOff, wake } from './outbox.ts';
import type { Fx, Self, State } from './state.ts';

const DEADLINE_MS = 5000;
const AGAIN_MS = 500;
/** Reports and letters count apart, so their parcels are told apart by the sign of the id. */
const boxOf = (state: State, parcel: number): Outbox =>
  parcel > 0 ? state.letters : state.reports;

export const post = (state: State, fx: Fx): void => {
  for (const [box, sign] of [
    [state.letters, 1],
    [state.reports, -1],
  ] as const) {
    for (const { id, topic, key, value, headers } of takeOff(box)) {
      fx.ask(
        bus,
        { kind: 'publish', topic, key, value, headers: JSON.stringify(headers) },
        { kind: 'published', parcel: id * sign },
        DEADLINE_MS,
      );
    }
  }
  for (const lane of state.lanes.values()) commitMark(lane.sub, fx);
};

export const posted = (
  state: State,
  message: Extract<Self, { kind: 'published' }>,
  fx: Fx,
): void => {
  const box = boxOf(state, message.parcel);
  const id = Math.abs(message.parcel);
  const outcome = message.result.ok ? message.result.value.outcome : 'unavailable';
  if (outcome === 'unavailable') {
    returned(box, id);
    fx.emit('publish_retries', 1);
    return fx.after(AGAIN_MS, { kind: 'publishAgain' }, 'publish');
  }
  const parcel = landed(box, id);
  if (parcel === undefined) return;
  if (outcome === 'too-large' && parcel.value.length > 0) {
    // The headers made it too long for the bus: the place in the source topic still finds the original.
    const headers = { ...parcel.headers, truncated: 'true' };
    return enclose(box, { ...parcel, value: new Uint8Array(0), headers });
  }
  if (outcome !== 'ok')
    fx.log('error', 'the bus refuses for good', { topic: parcel.topic, outcome });
  if (parcel.settles !== null) finish(state, parcel.settles);
};

export const wakeBoxes = (state: State): void => {
  for (const box of [state.letters, state.reports]) wake(box);
};
