/** The task of the pool: what is proven of many messages. Each of its threads has a memory of its own. */
import { crypto } from '#native/crypto.ts';
import { readGenesis } from '#native/genesis-file.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import type { Result } from '#proto/result.ts';
import { type Believe, type Believed, believing, type Refusal } from './belief.ts';

export type BeliefTask = {
  /** Its file, and the pinned hash, hex. */
  readonly genesis: { readonly file: string; readonly sha256: string };
  /** Messages of the bus. */
  readonly values: readonly Uint8Array[];
};

/** A process has one genesis; a few more are there for tests. */
const GENESES_MAX = 4;
const believers = new Map<string, Believe>();

const believerOf = (pinned: BeliefTask['genesis']): Believe => {
  const known = believers.get(pinned.sha256);
  if (known !== undefined) return known;
  const genesis = readGenesis(pinned);
  const believe = believing(genesis, genesisCommittee(genesis, crypto), crypto);
  if (believers.size >= GENESES_MAX) believers.delete(believers.keys().next().value!);
  believers.set(pinned.sha256, believe);
  return believe;
};

/** One answer for each message, in order. Throws where the genesis cannot be read or is another one. */
const beliefTask = ({ genesis, values }: BeliefTask): Result<Believed, Refusal>[] =>
  values.map(believerOf(genesis));

export default beliefTask;
