/** Snapshots of a running system as a stream, shared by all who look at it. */
import {
  catchError,
  EMPTY,
  exhaustMap,
  from,
  map,
  type Observable,
  scan,
  share,
  timer,
} from 'rxjs';
import type { Snapshot } from '#runtime/metrics/snapshot.ts';

/** Rates are counted over so many snapshots. */
const RATE_SPAN = 5;

/**
 * A snapshot every `periodMs`. While one is awaited no other is asked for; one that fails is left out, the
 * next may succeed.
 */
export const snapshots = (take: () => Promise<Snapshot>, periodMs: number): Observable<Snapshot> =>
  timer(0, periodMs).pipe(
    exhaustMap(() => from(take()).pipe(catchError(() => EMPTY))),
    share(),
  );

export type Frame = { readonly now: Snapshot; readonly before: Snapshot | undefined };

/** Each snapshot with an earlier one to count rates from. */
export const frames = (source: Observable<Snapshot>): Observable<Frame> =>
  source.pipe(
    scan((window: readonly Snapshot[], one) => [...window.slice(-RATE_SPAN), one], []),
    map((window) => ({ now: window.at(-1)!, before: window.length > 1 ? window[0] : undefined })),
  );
