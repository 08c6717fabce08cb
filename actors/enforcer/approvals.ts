/**
 * Policies that a person has let through although they are beyond what an agent does by itself. A file of the node, as
 * the brake is: whoever may write to the data folder may approve. What cannot be understood approves nothing.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { writeWhole } from '#native/disk.ts';
import { audit } from './panic.ts';

const approvals = z.record(z.string(), z.object({ by: z.string(), untilMs: z.number() }));
/** By policy id; `untilMs` is the end of the policy. */
export type Approvals = z.output<typeof approvals>;

const PRIVATE = 0o600;
const fileOf = (dataDir: string): string => join(dataDir, 'approvals.json');

export const readApprovals = (dataDir: string): Approvals => {
  try {
    const parsed = approvals.safeParse(JSON.parse(readFileSync(fileOf(dataDir), 'utf8')));
    return parsed.success ? parsed.data : {};
  } catch {
    return {}; // there is none, or it is no JSON: nothing is approved
  }
};

export type Approved = {
  readonly id: string;
  readonly untilMs: number;
  /** Why the agent holds it. */
  readonly held: string;
};

/** Audit first; approvals of policies that have ended are dropped. */
export const approve = (
  dataDir: string,
  policies: readonly Approved[],
  by: string,
  reason: string,
  atMs: number,
): void => {
  for (const { id, held } of policies)
    audit(dataDir, 'approve', { atMs, policy: id, held, by, reason });
  const kept = Object.entries(readApprovals(dataDir)).filter(([, one]) => one.untilMs > atMs);
  const added = policies.map(({ id, untilMs }) => [id, { by, untilMs }] as const);
  const file = fileOf(dataDir);
  const text = JSON.stringify(Object.fromEntries([...kept, ...added]));
  writeWhole(file, `${text}\n`, PRIVATE);
};
