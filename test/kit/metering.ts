/** Runs captures through parser and meter, as telemetry and features do, without actors. */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { config } from '#actors/features/config.ts';
import { createMeter, type FlowBatch } from '#actors/features/meter/meter.ts';
import { type CaptureCounts, captureReader } from '#actors/telemetry/capture/reader.ts';
import { BATCH_MAX, FEATURE_COUNT, FLOW, recordsOf } from '#proto/flow-batch.ts';

export type MeteredFlow = {
  readonly source: string;
  readonly destination: string;
  readonly sourcePort: number;
  readonly destinationPort: number;
  readonly protocol: number;
  readonly firstUs: number;
  readonly handshake: number;
  readonly closeReason: number;
  readonly vector: Float32Array;
};

/** Dotted IPv4 or hexadecimal groups. */
export const addressText = (bytes: Uint8Array): string => {
  if (bytes[10] === 0xff && bytes[11] === 0xff) return [...bytes.subarray(12)].join('.');
  const groups = [];
  for (let i = 0; i < 16; i += 2)
    groups.push((((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0)).toString(16));
  return groups.join(':');
};

export const flowsOf = (batches: readonly FlowBatch[]): MeteredFlow[] =>
  batches.flatMap((batch) => {
    const view = recordsOf(batch.columns);
    return Array.from({ length: batch.count }, (_, row) => ({
      source: addressText(FLOW.address.source(view, row)),
      destination: addressText(FLOW.address.destination(view, row)),
      sourcePort: FLOW.get.sourcePort(view, row),
      destinationPort: FLOW.get.destinationPort(view, row),
      protocol: FLOW.get.protocol(view, row),
      firstUs: FLOW.get.firstUs(view, row),
      handshake: FLOW.get.handshake(view, row),
      closeReason: FLOW.get.closeReason(view, row),
      vector: batch.vectors.slice(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT),
    }));
  });

export type Metered = { readonly flows: MeteredFlow[]; readonly counts: CaptureCounts };

/** Meters a whole capture given as bytes (a file that was read, or one built in a test). */
export const meterBytes = (bytes: Uint8Array, settings: object = {}): Metered => {
  const reader = captureReader(0, BATCH_MAX);
  const meter = createMeter(config.parse(settings));
  const batches: FlowBatch[] = [];
  const packets = reader.push(bytes);
  const { batch } = reader.end();
  for (const { bytes: records, count } of batch === undefined ? packets : [...packets, batch]) {
    const view = recordsOf(records);
    for (let row = 0; row < count; row++) meter.packet(view, row);
    batches.push(...meter.take(false));
  }
  meter.flush();
  batches.push(...meter.take(true));
  return { flows: flowsOf(batches), counts: reader.counts };
};

export const meterFile = (file: string, settings: object = {}): Metered => {
  const bytes = readFileSync(file);
  return meterBytes(bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes, settings);
};
