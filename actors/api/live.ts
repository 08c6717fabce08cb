/** The overview as server-sent events (HTML standard, section 9.2), one source for all who listen. */
import type { ServerResponse } from 'node:http';
import {
  catchError,
  EMPTY,
  exhaustMap,
  from,
  map,
  type Observable,
  ReplaySubject,
  share,
  timer,
} from 'rxjs';
import type { View } from './views.ts';

/** Frames that a client may leave unread before it is disconnected. */
const SKIPPED_MAX = 30;

/**
 * A frame each `periodMs` for as long as somebody listens, and no work otherwise; whoever comes later gets the newest
 * frame at once. While one overview is awaited no other is asked for; one that fails is left out.
 */
export const liveFrames = (
  take: () => Promise<View>,
  periodMs: number,
  onFailure: (reason: unknown) => void,
): Observable<string> =>
  timer(0, periodMs).pipe(
    exhaustMap(() =>
      from(take()).pipe(
        catchError((reason: unknown) => {
          onFailure(reason);
          return EMPTY;
        }),
      ),
    ),
    map((view) => `event: overview\ndata: ${JSON.stringify(view)}\n\n`),
    share({ connector: () => new ReplaySubject<string>(1), resetOnRefCountZero: true }),
  );

/** Writes every frame until the client goes; one that does not read misses frames, then its connection. */
export const follow = (
  frames: Observable<string>,
  response: ServerResponse,
  onEnd: () => void,
): void => {
  let skipped = 0;
  const listening = frames.subscribe((frame) => {
    if (!response.writableNeedDrain) {
      skipped = 0;
      response.write(frame);
    } else if (++skipped > SKIPPED_MAX) {
      response.destroy();
    }
  });
  response.once('close', () => {
    listening.unsubscribe();
    onEnd();
  });
};
