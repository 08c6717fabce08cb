import { z } from 'zod';

export const config = z.strictObject({
  file: z
    .string()
    .min(1)
    .default('rules.yaml')
    .describe('the table of rules: an absolute path, or a name in config/'),
  reloadEveryMs: z
    .int()
    .min(100)
    .max(3_600_000)
    .default(1_000)
    .describe('how often the file is looked at for a change, ms'),
});

export type RulesConfig = z.output<typeof config>;
