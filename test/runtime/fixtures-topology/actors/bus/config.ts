import { z } from 'zod';

export const config = z.strictObject({
  driver: z.enum(['embedded']).default('embedded').describe('where messages are kept'),
  retentionMs: z.int().positive().default(60_000).describe('how long they are kept, ms'),
});
