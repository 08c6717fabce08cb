import { z } from 'zod';

export const config = z.strictObject({
  timeoutMs: z.int().min(500).max(30_000).default(1000).describe('view timeout, ms, 500..30000'),
  name: z.string().default('').describe('name of the branch'),
  key: z.string().optional().describe('file name of the private key'),
  peers: z.record(z.string(), z.string()).default({}).describe('name to address'),
  password: z.string().default('').describe('secret of the worker'),
  mode: z.enum(['fast', 'careful']).default('careful').describe('how it works'),
  limits: z
    .strictObject({ blockBytes: z.int().default(1024), poolBytes: z.int().default(4096) })
    .prefault({})
    .describe('sizes, bytes'),
});
