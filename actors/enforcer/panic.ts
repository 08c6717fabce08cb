/** The brake: while the panic file of a node stands, its agents enforce nothing. Every pull is written down. */
import { appendFileSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { diskFault, writeWhole } from '#native/disk.ts';

const panic = z.object({
  atMs: z.number(),
  /** Unix milliseconds; from then on the file means nothing. */
  untilMs: z.number(),
  by: z.string(),
  reason: z.string(),
});
export type Panic = z.output<typeof panic>;

const fileOf = (dataDir: string): string => join(dataDir, 'panic.json');
export const auditFile = (dataDir: string): string => join(dataDir, 'panic.log');
const PRIVATE = 0o600;

/** A file that cannot be understood counts as a pulled brake: somebody meant it. */
const BROKEN: Panic = {
  atMs: 0,
  untilMs: Number.POSITIVE_INFINITY,
  by: 'unknown',
  reason: 'the panic file cannot be read',
};

/** undefined while nothing stands in the way of enforcing. */
export const readPanic = (dataDir: string, nowMs: number): Panic | undefined => {
  let text: string;
  try {
    text = readFileSync(fileOf(dataDir), 'utf8');
  } catch (fault) {
    return (fault as NodeJS.ErrnoException).code === 'ENOENT' ? undefined : BROKEN;
  }
  const parsed = panic.safeParse(jsonOf(text));
  const found = parsed.success ? parsed.data : BROKEN;
  return found.untilMs > nowMs ? found : undefined;
};

const jsonOf = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
};

/** Audit first: a brake that nobody can account for is not pulled. */
export const startPanic = (dataDir: string, found: Panic): void => {
  audit(dataDir, 'panic', found);
  writeWhole(fileOf(dataDir), `${JSON.stringify(found)}\n`, PRIVATE);
};

export const endPanic = (dataDir: string, by: string, atMs: number): void => {
  audit(dataDir, 'end', { atMs, untilMs: atMs, by, reason: '' });
  rmSync(fileOf(dataDir), { force: true });
};

/** One line of JSON an event. Throws DiskFullError where there is no room for it. */
export const audit = (dataDir: string, event: string, details: object): void => {
  const line = JSON.stringify({ event, ...details });
  const file = auditFile(dataDir);
  try {
    appendFileSync(file, `${line}\n`, { mode: PRIVATE });
  } catch (cause) {
    throw diskFault(cause, file);
  }
};
