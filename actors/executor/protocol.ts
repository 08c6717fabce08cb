/**
 * The deterministic state machine and its durable chain. Blocks, proofs and states are CBOR
 * (proto/consensus/block.ts, proto/consensus/committed.ts, proto/commit-proof.ts).
 */
import { address, blob, bool, bytes, f64, list, question, str, u32 } from '#runtime/actor.ts';

export const executor = address('executor', {
  /** The newest committed block. At genesis height 0, hash = genesis hash, proof empty. */
  head: question({}, { height: f64, hash: bytes(32), stateRoot: bytes(32), proof: blob }),
  /**
   * Builds a block on a known parent (committed head or an executed fork of it) from candidates (CBOR list
   * of transactions); what is invalid or already in that branch is left out. The built block counts as
   * executed. `reason` says why not: 'unknown-parent' (execute its ancestors first),
   * 'header-time' and the like.
   */
  build: question(
    {
      parentHash: bytes(32),
      height: f64,
      view: f64,
      parentView: f64,
      epoch: f64,
      timeMs: f64,
      proposer: bytes(32),
      candidates: blob,
    },
    { ok: bool, block: blob, reason: str },
  ),
  /** Executes a block on a fork of its parent's state. Fail-closed: one wrong transaction refuses it. */
  execute: question(
    { hash: bytes(32), block: blob },
    { ok: bool, stateRoot: bytes(32), reason: str },
  ),
  /**
   * Makes an executed block and its uncommitted ancestors durable. `proof` is CBOR [header b0, QC b0,
   * header b1, QC b1], its anchor b0 at or above `hash`. Answered after the fsync; repeating it is harmless.
   */
  commit: question({ hash: bytes(32), proof: blob }, { ok: bool, height: f64, reason: str }),
  /** Long poll: answers when a block at `fromHeight` exists or after `waitMs`. CBOR list of CommittedBlock. */
  read: question(
    { fromHeight: f64, maxBlocks: u32, maxBytes: u32, waitMs: u32 },
    { blocks: blob, head: f64 },
  ),
  /**
   * One key of the state with its Merkle proof (proto/merkle.ts) under the root after block `height`
   * (0 = head). A height outside the horizon answers `root` all zero.
   */
  state: question(
    { key: str, height: f64 },
    { found: bool, value: blob, proof: blob, height: f64, root: bytes(32) },
  ),
  /** Which content hashes are in the committed state already, in the order asked. */
  known: question({ ids: list(bytes(32)) }, { known: list(bool) }),
  /** From ingest: ids of transactions whose signatures this validator has verified: no second look. */
  verified: { ids: list(bytes(32)) },
  /** JSON of `ChainContext`, proto/chain-context.ts. */
  context: question({}, { bytes: blob }),
});
