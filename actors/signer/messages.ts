/** What the signer's core is told, by others and by its own io, and what it asks of that io. */
import type { Answered, MessagesTo } from '#runtime/actor.ts';
import type { bus } from '#runtime/bus/protocol.ts';
import type { Detection, Release } from './envelope.ts';
import type { signer } from './protocol.ts';
import type { Waiting } from './store.ts';

export type Part = 'evidence' | 'anomaly';
export type Fate = 'published' | 'dropped';

export type Accepted = {
  readonly id: string;
  readonly contentHash: Uint8Array;
  readonly epoch: number;
  readonly seq: number;
} & (
  | { readonly outcome: 'queued'; readonly waiting: Waiting }
  /** The same content waits already: its newest epoch and seq are answered. */
  | { readonly outcome: 'known'; readonly row: number }
  | { readonly outcome: 'duplicate' }
  | { readonly outcome: 'refused'; readonly reason: string }
);

export type Self =
  | MessagesTo<typeof signer>
  | {
      readonly kind: 'loaded';
      readonly instance: number;
      readonly first: boolean;
      readonly waiting: readonly Waiting[];
    }
  | { readonly kind: 'accepted'; readonly accepted: Accepted }
  | {
      readonly kind: 'signed';
      readonly row: number;
      readonly evidence: Uint8Array;
      readonly anomaly: Uint8Array;
    }
  | {
      readonly kind: 'sent';
      readonly row: number;
      readonly part: Part;
      readonly result: Answered<typeof bus, 'publish'>;
    }
  | { readonly kind: 'retry'; readonly row: number }
  | { readonly kind: 'finished'; readonly row: number; readonly fate: Fate }
  | { readonly kind: 'pump' }
  | { readonly kind: 'drainOver' }
  | { readonly kind: 'prune' };

export type Commands = {
  load: Record<never, never>;
  /** Puts it into the outbox; `room` false: refused unless it is known. */
  accept: {
    readonly detection: Detection;
    readonly epoch: number;
    readonly seq: number;
    readonly room: boolean;
    readonly sinceMs: number;
  };
  /** Remembers the release, then signs: after a crash the same bytes go out again. */
  sign: { readonly row: number; readonly release: Release };
  finish: { readonly row: number; readonly fate: Fate; readonly atMs: number };
  prune: { readonly beforeMs: number; readonly countMax: number };
};
