/** The protobuf wire format below the schema: where each field of received bytes starts and ends.
 * Needed where received bytes themselves count: cutting out a signature, refusing duplicates. */
export type WireField = {
  readonly number: number;
  /** 0 varint, 1 eight bytes, 2 length-delimited, 5 four bytes. */
  readonly wireType: number;
  /** Offset of the tag. */
  readonly start: number;
  /** Offset of the content (behind the length for wire type 2). */
  readonly valueStart: number;
  /** Offset behind the content. */
  readonly end: number;
};

export type FieldScan = {
  /** In the order received, as far as the bytes make sense. */
  readonly fields: readonly WireField[];
  /** Offset behind the last whole field. */
  readonly end: number;
  /** What is wrong behind `end`; undefined where everything is whole. */
  readonly problem: string | undefined;
};

const VARINT_BYTES_MAX = 10;
const FIELD_NUMBER_MAX = 2 ** 29 - 1;

/** Never throws. Groups (wire types 3 and 4) are refused: proto3 has none. */
export const scanFields = (bytes: Uint8Array): FieldScan => {
  const fields: WireField[] = [];
  let at = 0;
  while (at < bytes.length) {
    const field = fieldAt(bytes, at);
    if (typeof field === 'string') return { fields, end: at, problem: field };
    fields.push(field);
    at = field.end;
  }
  return { fields, end: at, problem: undefined };
};

/** The rule for everything that we read: ascending numbers, none twice but the repeated ones. */
export const orderProblem = (
  fields: readonly WireField[],
  repeated: readonly number[],
): string | undefined => {
  let last = 0;
  for (const { number } of fields) {
    if (number < last) return `field ${number} stands behind field ${last}`;
    if (number === last && !repeated.includes(number)) return `field ${number} stands twice`;
    last = number;
  }
  return undefined;
};

const fieldAt = (bytes: Uint8Array, start: number): WireField | string => {
  const tag = varintAt(bytes, start);
  if (tag === undefined) return 'a tag breaks off';
  const number = Math.floor(tag.value / 8);
  const wireType = tag.value % 8;
  if (number < 1 || number > FIELD_NUMBER_MAX) return `no field has number ${number}`;
  const from = tag.end;
  const whole = (valueStart: number, end: number): WireField | string =>
    end > bytes.length
      ? `field ${number} breaks off`
      : { number, wireType, start, valueStart, end };
  switch (wireType) {
    case 0: {
      const value = varintAt(bytes, from);
      return value === undefined ? `field ${number} breaks off` : whole(from, value.end);
    }
    case 1:
      return whole(from, from + 8);
    case 2: {
      const length = varintAt(bytes, from);
      if (length === undefined) return `field ${number} breaks off`;
      return whole(length.end, length.end + length.value);
    }
    case 5:
      return whole(from, from + 4);
    default:
      return `field ${number} has wire type ${wireType}`;
  }
};

/** `value` is exact up to 2^53; beyond it only `end` is of use. */
const varintAt = (bytes: Uint8Array, start: number): { value: number; end: number } | undefined => {
  let value = 0;
  for (let i = 0; i < VARINT_BYTES_MAX; i += 1) {
    const byte = bytes[start + i];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * i);
    if (byte < 0x80) return { value, end: start + i + 1 };
  }
  return undefined;
};
