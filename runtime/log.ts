/** Structured log lines: one JSON object a line, each with level, time and the actor that speaks. */
import { pino } from 'pino';
import type { LogFields, LogLevel } from './actor.ts';
import { openLines } from './lines.ts';
import { redact } from './topology/secrets.ts';

export type Log = {
  /** `actor` is the tree path, or `runtime`. Secrets among the fields are masked. */
  readonly write: (level: LogLevel, actor: string, text: string, fields?: LogFields) => void;
  /** A line that has to be out before the process ends. */
  readonly flush: () => void;
};

/** `fd` is 1 or 2; lines below `level` are dropped. */
export const openLog = (node: string, level: LogLevel, fd: number): Log => {
  // Not pino's own destination: while a disk is full it keeps every line in memory and never ends.
  const lines = openLines(fd);
  const logger = pino(
    {
      level,
      base: { node },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    lines,
  );
  return {
    write: (severity, actor, text, fields = {}) => {
      const lost = lines.takeLost();
      if (lost > 0)
        logger.warn({ actor: 'runtime', lost }, 'lines of the log could not be written');
      const known = redact(fields) as object;
      logger[severity]({ actor, ...known }, String(redact(text)));
    },
    flush: lines.flush,
  };
};

/** Keeps nothing and shows nothing: for a live view that has its own place for what matters. */
export const silentLog = (): Log => ({ write: () => undefined, flush: () => undefined });
