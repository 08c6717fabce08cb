/**
 * A file of labelled flows as the engines get it: through the reader of telemetry and the core of
 * features.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { config } from '#actors/features/config.ts';
import { core } from '#actors/features/core.ts';
import { flowReader, type LabelTable, type RowBatch } from '#actors/telemetry/flows/reader.ts';
import { BATCH_MAX, bytesOf } from '#proto/flow-batch.ts';
import { recorder } from '#runtime/recorder.ts';

export type Batch = {
  readonly kind: 'batch';
  readonly epoch: number;
  readonly seq: number;
  readonly flows: number;
  readonly windows: number;
  readonly vectors: Uint8Array;
  readonly columns: Uint8Array;
  readonly aggregates: Uint8Array;
  readonly end: boolean;
};

export type Batches = { readonly batches: readonly Batch[]; readonly labels: LabelTable };

const CHUNK_BYTES = 1 << 20;

const rowsOf = (file: string, labels: LabelTable): RowBatch[] => {
  const bytes = readFileSync(file);
  const text = file.endsWith('.gz') ? gunzipSync(bytes) : bytes;
  const reader = flowReader(0, BATCH_MAX, labels);
  const rows: RowBatch[] = [];
  for (let at = 0; at < text.length; at += CHUNK_BYTES) {
    rows.push(...reader.push(text.subarray(at, at + CHUNK_BYTES)));
  }
  const last = reader.end();
  const fault = reader.fault();
  if (fault !== undefined) throw new Error(`${file}: ${fault}`);
  return last === undefined ? rows : [...rows, last];
};

export const batchesOf = (file: string): Batches => {
  const labels: LabelTable = [];
  const rows = rowsOf(file, labels);
  const state = core.init(config.parse({}));
  const fx = recorder<Parameters<typeof core.step>[1]>();
  const batches: Batch[] = [];
  rows.forEach(({ count, vectors, columns }, k) => {
    const isLast = k === rows.length - 1;
    core.step(
      state,
      {
        kind: 'rows',
        epoch: 1,
        seq: k + 1,
        count,
        vectors: bytesOf(vectors),
        columns,
        capture: 'flows',
        flush: isLast,
        end: isLast,
      },
      fx,
      0,
    );
    for (const { effect, to, message } of fx.take()) {
      if (effect === 'tell' && to === 'ensemble') batches.push(message as Batch);
    }
  });
  return { batches, labels };
};
