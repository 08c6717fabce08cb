/** Which flows of a batch a model may be asked about. */
import { F, FEATURE_COUNT, FLOW, isVector, vectorAt } from '#proto/flow-batch.ts';
import type { ModelEntry } from './manifest.ts';

export type Selection = {
  /** Rows that the model knows, ascending. */
  readonly rows: Uint32Array;
  /** Flows of a kind that was not among the training data. */
  readonly unknown: number;
  /** Vectors that are not 79 finite numbers. */
  readonly broken: number;
};

export const select = (
  knows: ModelEntry['knows'],
  vectors: Float32Array,
  columns: DataView,
  flows: number,
): Selection => {
  const rows = new Uint32Array(flows);
  let count = 0;
  let broken = 0;
  for (let row = 0; row < flows; row += 1) {
    const vector = vectorAt(vectors, row);
    if (!isVector(vector)) {
      broken += 1;
      continue;
    }
    const known =
      FLOW.get.packets(columns, row) >= knows.packetsMin &&
      knows.protocols.includes(FLOW.get.protocol(columns, row)) &&
      (vector[F.totlen_fwd_pkts] ?? 0) >= knows.forwardPayloadMinBytes;
    if (!known) continue;
    rows[count] = row;
    count += 1;
  }
  return { rows: rows.subarray(0, count), unknown: flows - count - broken, broken };
};

/** The vectors of `rows`, one behind the other: a copy. */
export const gather = (vectors: Float32Array, rows: ArrayLike<number>): Float32Array => {
  const gathered = new Float32Array(rows.length * FEATURE_COUNT);
  for (let k = 0; k < rows.length; k += 1) {
    gathered.set(vectorAt(vectors, rows[k] ?? 0), k * FEATURE_COUNT);
  }
  return gathered;
};
