/** On the main thread: the last log lines of each actor, and a crash report on disk for each crash. */

import type { LogFields } from '../actor.ts';
import { packageVersion } from '../package-version.ts';
import type { Crash } from '../system/thread.ts';
import { redact } from '../topology/secrets.ts';
import { openCrashFiles } from './crash-files.ts';
import {
  type CrashReport,
  type Dump,
  type LogEntry,
  REPORT_VERSION,
  shownError,
} from './report.ts';

const LINES_MAX = 50;

export type Told = { readonly level: 'warn' | 'error'; readonly text: string };

/** What an actor has said, to the log or to whoever asks how the node is. */
export type Said = LogEntry & { readonly path: string; readonly fields: LogFields };

export type Witness = {
  readonly log: (said: Said) => void;
  /** `dump` is missing where the thread ended without an exception. */
  readonly crashed: (crash: Crash, dump: Dump | undefined, atMs: number) => void;
  /** Reports written since the start. */
  readonly written: () => number;
  /** Crashes without a report: too many at once, or no room. */
  readonly missed: () => number;
  readonly settled: () => Promise<void>;
};

/** `tell` is called when a report is on disk, or could not be written. */
export const openWitness = (
  node: { readonly name: string; readonly dataDir: string },
  seed: number,
  tell: (path: string, told: Told) => void,
): Witness => {
  const files = openCrashFiles(node.dataDir);
  const lines = new Map<string, LogEntry[]>();
  let written = 0;
  let missed = 0;
  const write = async (report: CrashReport): Promise<void> => {
    const { path } = report;
    try {
      const file = await files.write(report);
      if (file === undefined) {
        missed++;
        return;
      }
      written++;
      tell(path, { level: 'warn', text: `crash report: node runtime replay ${file}` });
    } catch (error) {
      missed++;
      const text = `the crash report could not be written: ${(error as Error).message}`;
      tell(path, { level: 'error', text });
    }
  };
  return {
    log: ({ path, atMs, level, text, fields }) => {
      const known = lines.get(path) ?? [];
      const more = Object.keys(fields).length === 0 ? '' : ` ${JSON.stringify(redact(fields))}`;
      known.push({ atMs, level, text: String(redact(text)) + more });
      if (known.length > LINES_MAX) known.shift();
      lines.set(path, known);
    },
    crashed: (crash, dump, atMs) => {
      const { path, kind, trace } = crash;
      void write({
        version: REPORT_VERSION,
        cybermesh: packageVersion(),
        node: node.name,
        path,
        atMs,
        kind,
        trace,
        seed,
        // A copy: it is written later, when the next life may have said something.
        log: [...(lines.get(path) ?? [])],
        dump: dump ?? null,
        error: shownError(crash.error),
        stack: shownError(crash.stack),
      });
    },
    written: () => written,
    missed: () => missed,
    settled: files.settled,
  };
};
