/** Structured log lines: one JSON object a line, each with level, time and the actor that speaks. */
import { pino } from 'pino';
import type { LogFields, LogLevel } from './actor.ts';
import { redact } from './topology/secrets.ts';

export type Log = {
  /** `actor` is the tree path, or `runtime`. Secrets among the fields are masked. */
  readonly write: (level: LogLevel, actor: string, text: string, fields?: LogFields) => void;
  /** A line that has to be out before the process ends. */
  readonly flush: () => void;
};

/** `fd` is 1 or 2; lines below `level` are dropped. */
export const openLog = (node: string, level: LogLevel, fd: number): Log => {
  const destination = pino.destination({ fd, sync: true });
  // A reader that went away must not stop a node.
  destination.on('error', () => undefined);
  const logger = pino(
    {
      level,
      base: { node },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return {
    write: (severity, actor, text, fields = {}) => {
      const known = redact(fields) as object;
      logger[severity]({ actor, ...known }, String(redact(text)));
    },
    flush: () => destination.flushSync(),
  };
};

/** Keeps nothing and shows nothing: for a live view that has its own place for what matters. */
export const silentLog = (): Log => ({ write: () => undefined, flush: () => undefined });
