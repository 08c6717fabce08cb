/** One run of a system, from its first message to its report: when it ends and what is shown meanwhile. */
import { firstValueFrom, from, map, merge, type Observable, timer } from 'rxjs';
import type { LogFields } from '#runtime/actor.ts';
import type { RuntimeEvent } from '#runtime/events.ts';
import { openScreen, type Terminal } from '#runtime/live/screen.ts';
import { statusLines, type ViewHeader } from '#runtime/live/status-view.ts';
import { type Frame, frames, snapshots } from '#runtime/live/stream.ts';
import type { Log } from '#runtime/log.ts';
import { gaugeOf, restartsOf, type Snapshot, stagesOf } from '#runtime/metrics/snapshot.ts';
import { type LogLine, logLine } from './event-log.ts';

const REDRAW_MS = 500;
const PROGRESS_MS = 10_000;

/** Why a node with a finite source ends by itself: its log says so. */
export const SOURCE_ENDED = 'the source has ended, and all that it caused is acknowledged';

export type SessionEnd =
  | { readonly why: 'signal'; readonly text: string }
  | { readonly why: 'time'; readonly text: string }
  | { readonly why: 'complete'; readonly text: string }
  | { readonly why: 'failed'; readonly text: string };

/** A shown session: on a terminal the live view, elsewhere log lines. */
export type Display = {
  readonly say: (line: LogLine) => void;
  /** The system is being stopped. */
  readonly stopping: (text: string) => void;
  /** Shows the last state and gives the terminal back. */
  readonly close: () => Promise<void>;
};

/** Where the run stands, for those who have no live view. */
const progress = (now: Snapshot): LogFields => ({
  ...stagesOf(now),
  height: gaugeOf(now, 'replica', 'consensus_height'),
  restarts: restartsOf(now.tree),
});

/** Log lines, one for each event that is severe enough, and one for the progress every ten seconds. */
export const logDisplay = (log: Log, take: () => Promise<Snapshot>): Display => {
  const told = snapshots(take, PROGRESS_MS).subscribe((now) =>
    log.write('info', 'runtime', 'progress', progress(now)),
  );
  return {
    say: ({ level, actor, text, fields }) => log.write(level, actor, text, fields),
    stopping: (text) => log.write('info', 'runtime', `stopping: ${text}`),
    close: async () => {
      told.unsubscribe();
      log.flush();
    },
  };
};

/** The live view; warnings and errors stay above it. */
export const liveDisplay = (
  out: Terminal,
  header: () => ViewHeader,
  take: () => Promise<Snapshot>,
): Display => {
  const screen = openScreen(out);
  let footer: readonly string[] = ['', 'Ctrl-C stops'];
  let isOpen = true;
  const draw = ({ now, before }: Frame): void =>
    screen.draw([...statusLines(header(), now, before, screen.width()), ...footer]);
  const view = frames(snapshots(take, REDRAW_MS)).subscribe(draw);
  const drawLast = async (): Promise<void> => {
    footer = [];
    try {
      draw({ now: await take(), before: undefined });
    } catch {
      // It never started: what there is to say has been said above.
    }
  };
  return {
    say: ({ level, actor, text }) => {
      if (level === 'warn' || level === 'error') screen.above(`${level} ${actor}: ${text}`);
    },
    stopping: (text) => {
      footer = ['', `stopping: ${text} (Ctrl-C again stops at once)`];
    },
    close: async () => {
      if (!isOpen) return;
      isOpen = false;
      view.unsubscribe();
      screen.showCursor();
      await drawLast();
      screen.showCursor();
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
  const ends: Observable<SessionEnd>[] = [
    signals.pipe(map((name) => ({ why: 'signal', text: name }))),
    from(failed).pipe(map((text) => ({ why: 'failed', text }))),
    complete.pipe(map(() => ({ why: 'complete', text: SOURCE_ENDED }))),
  ];
  if (forMs !== undefined) {
    ends.push(timer(forMs).pipe(map(() => ({ why: 'time', text: `${forMs} ms are over` }))));
  }
  return firstValueFrom(merge(...ends));
};
