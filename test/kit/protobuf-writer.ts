/** A writer of protobuf bytes that shares nothing with the product: for golden messages. */
const varint = (value: bigint): number[] => {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  do {
    const more = rest > 0x7fn;
    bytes.push(Number(rest & 0x7fn) | (more ? 0x80 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return bytes;
};

const tag = (number: number, wireType: number): number[] => varint(BigInt(number * 8 + wireType));

/** int64, int32, uint32 and bool alike. */
export const int = (number: number, value: number | bigint | boolean): number[] => [
  ...tag(number, 0),
  ...varint(BigInt(value)),
];

export const double = (number: number, value: number): number[] => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return [...tag(number, 1), ...bytes];
};

export const octets = (number: number, value: Iterable<number>): number[] => {
  const bytes = [...value];
  return [...tag(number, 2), ...varint(BigInt(bytes.length)), ...bytes];
};

export const text = (number: number, value: string): number[] =>
  octets(number, Buffer.from(value, 'utf8'));

export const message = (...fields: readonly number[][]): Uint8Array =>
  Uint8Array.from(fields.flat());
