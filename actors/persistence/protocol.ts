/** The SQL projection of the chain. It pulls from an executor, so nobody tells it anything. */
import { address, bool, f64, question } from '#runtime/actor.ts';

export const persistence = address('persistence', {
  /** `height`: newest projected block; `lag`: blocks of the chain that are not in SQL yet. */
  status: question({}, { height: f64, lag: f64, connected: bool }),
});
