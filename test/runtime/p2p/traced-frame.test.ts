import fc from 'fast-check';
import { expect, test } from 'vitest';
import { frameOf, withContext } from '#runtime/p2p/traced-frame.ts';

const header = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00';

test('bytes and context survive; without one a frame is a byte longer', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.boolean(), (bytes, has) => {
      const traceparent = has ? header : '';
      const frame = withContext({ bytes, traceparent });
      expect(frame.length).toBe(bytes.length + (has ? 25 : 1));
      expect(frameOf(frame)).toEqual({ bytes, traceparent });
    }),
  );
});

test('whatever a peer sends gives bytes and at most a context, never an exception', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (read) => {
      const { bytes, traceparent } = frameOf(read);
      expect(bytes.length).toBeLessThanOrEqual(read.length);
      expect(traceparent).toMatch(/^(?:00-[0-9a-f]{32}-[0-9a-f]{16}-00)?$/);
    }),
  );
  const zeros = new Uint8Array(26);
  zeros[0] = 1;
  expect(frameOf(zeros)).toEqual({ bytes: new Uint8Array(1), traceparent: '' });
});
