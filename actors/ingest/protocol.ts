/** The validator's edge towards the bus: verification, dead letters, mempool. */
import { address, blob, bytes, f64, list, question, str, u32 } from '#runtime/actor.ts';

export const ingest = address('ingest', {
  /** Transactions for a block, best first, within both limits. CBOR list of [kindCode, bytes]. They stay here. */
  take: question({ maxTransactions: u32, maxBytes: u32 }, { transactions: blob }),
  /** From executor, at a commit: the block's header time and the ids of its transactions. */
  included: { height: f64, timeMs: f64, ids: list(bytes(32)) },
  /**
   * From executor, after building a block: transactions that no block can carry as the chain stands, each with
   * the code of why.
   */
  refused: { ids: list(bytes(32)), reasons: list(str) },
  /** From replica: transactions that peer `from` admitted. Verified here again, in full. */
  forwarded: { transactions: blob, from: str },
});
