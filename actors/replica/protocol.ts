/**
 * What a replica hears from its own companions. Peers speak to it over libp2p, not through this mailbox.
 * One replica a validator branch; it alone signs consensus messages.
 */
import { address, blob, bool, f64, question, str, u32 } from '#runtime/actor.ts';

export const replica = address('replica', {
  /** From ingest: `count` admitted, uncommitted transactions exist. Ends the idle state. */
  pending: { count: u32 },
  /** From ingest: own admitted transactions for every peer. CBOR list of [kindCode, bytes]. */
  forward: { transactions: blob },
  /**
   * `committee` is JSON: [{id, name, weight, leader}]. Views and heights are safe integers. `genesis` says how far the
   * ceremony is: `agreed`, or `waiting: ...`, each with the validators that are refused, by name and reason.
   */
  status: question(
    {},
    {
      height: f64,
      view: f64,
      highQcView: f64,
      leader: str,
      peers: u32,
      committee: str,
      viewChanges: u32,
      halted: bool,
      genesis: str,
    },
  ),
});
