/** One run of a system, from its first message to its report: when it ends and what is shown meanwhile. */
import { firstValueFrom, from, map, merge, type Observable, timer } from 'rxjs';
import type { RuntimeEvent } from '#runtime/events.ts';
import { openScreen, type Terminal } from '#runtime/live/screen.ts';
import { statusLines, type ViewHeader } from '#runtime/live/status-view.ts';
import { frames, snapshots } from '#runtime/live/stream.ts';
import type { Log } from '#runtime/log.ts';
import type { Snapshot } from '#runtime/snapshot.ts';
import { type LogLine, logLine } from './event-log.ts';

const REDRAW_MS = 500;

export type SessionEnd =
  | { readonly why: 'signal'; readonly text: string }
  | { readonly why: 'time'; readonly text: string }
  | { readonly why: 'complete'; readonly text: string }
  | { readonly why: 'failed'; readonly text: string };

/** A shown session: on a terminal the live view, elsewhere log lines. */
export type Display = {
  readonly say: (line: LogLine) => void;
  /** Draws the last frame and gives the terminal back. */
  readonly close: () => Promise<void>;
};

/** Log lines, one for each event that is severe enough. */
export const logDisplay = (log: Log): Display => ({
  say: ({ level, actor, text, fields }) => log.write(level, actor, text, fields),
  close: async () => log.flush(),
});

/** The live view; warnings and errors stay above it. */
export const liveDisplay = (
  out: Terminal,
  header: () => ViewHeader,
  take: () => Promise<Snapshot>,
): Display => {
  const screen = openScreen(out);
  let last: readonly string[] = [];
  const view = frames(snapshots(take, REDRAW_MS)).subscribe(({ now, before }) => {
    last = statusLines(header(), now, before, screen.width());
    screen.draw(last);
  });
  return {
    say: ({ level, actor, text }) => {
      if (level === 'warn' || level === 'error') screen.above(`${level} ${actor}: ${text}`);
    },
    close: async () => {
      view.unsubscribe();
      screen.close();
    },
  };
};

/** Shows every event. Returns how to stop showing. */
export const show = (events: Observable<RuntimeEvent>, display: Display): (() => void) => {
  const shown = events.subscribe((event) => display.say(logLine(event)));
  return () => shown.unsubscribe();
};

/**
 * Resolves with what ends the run first: a signal, the time, the end of a finite source (the first of
 * `complete`), or the failure of the system.
 */
export const sessionEnd = (
  failed: Promise<string>,
  complete: Observable<unknown>,
  signals: Observable<string>,
  forMs: number | undefined,
): Promise<SessionEnd> => {
  const finished = 'the source has ended, and all that it caused is acknowledged';
  const ends: Observable<SessionEnd>[] = [
    signals.pipe(map((name) => ({ why: 'signal', text: name }))),
    from(failed).pipe(map((text) => ({ why: 'failed', text }))),
    complete.pipe(map(() => ({ why: 'complete', text: finished }))),
  ];
  if (forMs !== undefined) {
    ends.push(timer(forMs).pipe(map(() => ({ why: 'time', text: `${forMs} ms are over` }))));
  }
  return firstValueFrom(merge(...ends));
};
