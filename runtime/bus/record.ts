/** Records of the bus and their encoding between the bus actor and its consumers (never on a wire). */
export type BusRecord = {
  readonly partition: number;
  readonly offset: number;
  /** When it was appended, Unix milliseconds of the bus. */
  readonly timestampMs: number;
  readonly key: string;
  readonly value: Uint8Array;
  readonly headers: { readonly [name: string]: string };
};

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const FIXED_BYTES = 32;

/** partition u32 | key u32 | headers u32 | value u32 | offset f64 | timestamp f64 | key | headers | value, each record. */
export const encodeRecords = (records: readonly BusRecord[]): Uint8Array => {
  const parts = records.map((record) => ({
    record,
    key: encoder.encode(record.key),
    headers: encoder.encode(JSON.stringify(record.headers)),
  }));
  const size = parts.reduce(
    (sum, p) => sum + FIXED_BYTES + p.key.length + p.headers.length + p.record.value.length,
    0,
  );
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  let at = 0;
  for (const { record, key, headers } of parts) {
    view.setUint32(at, record.partition, true);
    view.setUint32(at + 4, key.length, true);
    view.setUint32(at + 8, headers.length, true);
    view.setUint32(at + 12, record.value.length, true);
    view.setFloat64(at + 16, record.offset, true);
    view.setFloat64(at + 24, record.timestampMs, true);
    at += FIXED_BYTES;
    out.set(key, at);
    out.set(headers, at + key.length);
    out.set(record.value, at + key.length + headers.length);
    at += key.length + headers.length + record.value.length;
  }
  return out;
};

/** Reads what `encodeRecords` wrote. Values are views of `bytes`. */
export const decodeRecords = (bytes: Uint8Array): BusRecord[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const records: BusRecord[] = [];
  for (let at = 0; at < bytes.length; ) {
    const keyEnd = at + FIXED_BYTES + view.getUint32(at + 4, true);
    const headersEnd = keyEnd + view.getUint32(at + 8, true);
    const end = headersEnd + view.getUint32(at + 12, true);
    records.push({
      partition: view.getUint32(at, true),
      offset: view.getFloat64(at + 16, true),
      timestampMs: view.getFloat64(at + 24, true),
      key: decoder.decode(bytes.subarray(at + FIXED_BYTES, keyEnd)),
      headers: JSON.parse(decoder.decode(bytes.subarray(keyEnd, headersEnd))),
      value: bytes.subarray(headersEnd, end),
    });
    at = end;
  }
  return records;
};
