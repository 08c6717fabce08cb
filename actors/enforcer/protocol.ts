/** The enforcement agent. It hears policies from the bus only; this mailbox is for those who look at it. */
import { address, blob, bool, oneOf, question, str, u32 } from '#runtime/actor.ts';

/** in-topology: the switch in the topology stays on, whatever the panic file says. */
const HANDLED = oneOf('done', 'failed', 'in-topology');

export const enforcer = address('enforcer', {
  /** Newest first, at most `limit`. JSON: a list of PolicyView (policies.ts). */
  list: question({ activeOnly: bool, limit: u32 }, { policies: blob }),
  /** JSON: backend, policies by status, coverage ratio, packets met, brake (panic, kill switch), fault. */
  summary: question({}, { json: blob }),
  /**
   * Pulls the brake of the node for a time: every agent on its data folder takes away what it enforces, as after the
   * command `panic`. Answered when this agent has; whoever asks has made sure that somebody may.
   */
  brake: question({ lastsS: u32, by: str, reason: str }, { outcome: HANDLED, text: str }),
  /** Releases it before its time; what is committed comes into force again. */
  release: question({ by: str }, { outcome: HANDLED, text: str }),
});
