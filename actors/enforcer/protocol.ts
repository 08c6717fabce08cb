/** The enforcement agent. It hears policies from the bus only; this mailbox is for those who look at it. */
import { address, blob, bool, question, u32 } from '#runtime/actor.ts';

export const enforcer = address('enforcer', {
  /** Newest first, at most `limit`. JSON: a list of PolicyView (policies.ts). */
  list: question({ activeOnly: bool, limit: u32 }, { policies: blob }),
  /** JSON: backend, policies by status, coverage ratio, packets met, brake (panic, kill switch), fault. */
  summary: question({}, { json: blob }),
});
