/**
 * Claim: packets a second through capture parser and flow meter on one thread, and with the
 * windows.
 *
 *   node bench/meter.ts [capture] [seconds]
 *
 * The capture is repeated in memory, so no disk is measured. Without a file: generated traffic.
 */
import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { config } from '#actors/features/config.ts';
import { createMeter } from '#actors/features/meter/meter.ts';
import { observePacket } from '#actors/features/windows/observe.ts';
import { WINDOW_DEFAULTS } from '#actors/features/windows/settings.ts';
import { createWindows, resetWindows, takeWindows } from '#actors/features/windows/windows.ts';
import { type Batch, captureReader } from '#actors/telemetry/capture/reader.ts';
import { type SyntheticConfig, config as telemetry } from '#actors/telemetry/config.ts';
import { generator } from '#actors/telemetry/synthetic/generator.ts';
import { BATCH_MAX, recordsOf, WINDOWS_MAX } from '#proto/flow-batch.ts';

const CHUNK_BYTES = 1 << 18;
const [file, secondsText = '5'] = process.argv.slice(2);
const seconds = Number(secondsText);

const parse = (bytes: Uint8Array): Batch[] => {
  const reader = captureReader(0, BATCH_MAX);
  const batches: Batch[] = [];
  for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
    batches.push(...reader.push(bytes.subarray(at, at + CHUNK_BYTES)));
  }
  const { batch } = reader.end();
  return batch === undefined ? batches : [...batches, batch];
};

const generated = (): Batch[] => {
  const { source } = telemetry.parse({ source: { kind: 'synthetic', ratePps: 3_000 } });
  const traffic = generator(source as SyntheticConfig, 1.7e15);
  const batches: Batch[] = [];
  for (let tick = 1; tick <= 600; tick++)
    batches.push(traffic.take(1.7e15 + tick * 1e5, BATCH_MAX));
  return batches;
};

type Stage = { readonly name: string; readonly run: () => number };

const measure = ({ name, run }: Stage): void => {
  run();
  const beganMs = performance.now();
  let packets = 0;
  while (performance.now() - beganMs < seconds * 1000) packets += run();
  const perSecond = packets / ((performance.now() - beganMs) / 1000);
  console.log(`${name}: ${(perSecond / 1e6).toFixed(3)} million packets/s`);
};

const countOf = (batches: readonly Batch[]): number =>
  batches.reduce((sum, batch) => sum + batch.count, 0);

const meter = createMeter(config.parse({}));
const windows = createWindows(WINDOW_DEFAULTS);

const throughMeter = (batches: readonly Batch[]): number => {
  meter.reset();
  for (const { bytes, count } of batches) {
    const view = recordsOf(bytes);
    for (let row = 0; row < count; row++) meter.packet(view, row);
    meter.take(false);
  }
  meter.flush();
  meter.take(true);
  return countOf(batches);
};

const throughWindows = (batches: readonly Batch[]): number => {
  resetWindows(windows);
  for (const { bytes, count } of batches) {
    const view = recordsOf(bytes);
    for (let row = 0; row < count; row++) observePacket(windows, view, row);
    takeWindows(windows, WINDOWS_MAX);
  }
  return countOf(batches);
};

const raw = file === undefined ? undefined : readFileSync(file);
const bytes = raw !== undefined && raw[0] === 0x1f ? gunzipSync(raw) : raw;
const batches = bytes === undefined ? generated() : parse(bytes);
console.log(`${file ?? 'generated traffic'}: ${countOf(batches)} packets`);
if (bytes !== undefined) {
  measure({ name: 'parser', run: () => countOf(parse(bytes)) });
  measure({ name: 'parser + meter', run: () => throughMeter(parse(bytes)) });
}
measure({ name: 'meter', run: () => throughMeter(batches) });
measure({ name: 'windows', run: () => throughWindows(batches) });
