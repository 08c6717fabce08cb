import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  CONTEXT_BYTES,
  parseTraceparent,
  readContext,
  type Trace,
  traceparentOf,
  writeContext,
} from '#runtime/trace/context.ts';

const word = fc.integer({ min: 1, max: 0x7fffffff });
const trace = fc.tuple(word, word, word, word, word, word) as fc.Arbitrary<Trace>;

test('a context survives the header and the bytes of a frame', () => {
  fc.assert(
    fc.property(trace, fc.boolean(), fc.nat(9), (context, isRecorded, at) => {
      const header = traceparentOf(context, isRecorded);
      expect(header).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
      expect(parseTraceparent(header)).toEqual(context);
      const bytes = new Uint8Array(at + CONTEXT_BYTES);
      writeContext(context, bytes, at);
      expect(readContext(bytes, at)).toEqual(context);
    }),
  );
});

test('the example of the W3C recommendation is read, a later version with more fields, too', () => {
  const header = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
  expect(traceparentOf(parseTraceparent(header)!, true)).toBe(header);
  expect(parseTraceparent(header.replace('00-', 'cc-').concat('-more'))).toBeDefined();
});

test('what is no context is none: zeros, version ff, capitals, other lengths, nothing', () => {
  const [id, span] = ['4bf92f3577b34da6a3ce929d0e0e4736', '00f067aa0ba902b7'];
  for (const header of [
    undefined,
    '',
    'garbage',
    `00-${'0'.repeat(32)}-${span}-01`,
    `00-${id}-${'0'.repeat(16)}-01`,
    `ff-${id}-${span}-01`,
    `00-${id.toUpperCase()}-${span}-01`,
    `00-${id}-${span}`,
    `00-${id}0-${span}-01`,
  ]) {
    expect(parseTraceparent(header)).toBeUndefined();
  }
  expect(readContext(new Uint8Array(CONTEXT_BYTES), 0)).toBeUndefined();
});
