import { z } from 'zod';

export const config = z.strictObject({
  source: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('synthetic'), seed: z.int().default(1) }),
      z.strictObject({ kind: z.literal('pcap'), path: z.string().describe('capture file') }),
      z.strictObject({ kind: z.literal('none') }),
    ])
    .prefault({ kind: 'synthetic' })
    .describe('where packets come from'),
  batchMax: z.int().min(1).max(1000).default(1000).describe('flows in a batch, 1..1000'),
});
