/** Live traces in a thread: which messages they want, how many a second they show, and a message in one line of text. */
import { inspect } from 'node:util';
import { type Bounds, bounded } from '../control/bounded.ts';
import type { Message } from '../mailbox/asks.ts';
import type { Mailbox } from '../mailbox/mailbox.ts';
import { spanIdOf, traceIdOf } from './context.ts';
import { CAUSES, type Cause, type SpanContext } from './ring.ts';

export const RATE_MAX = 1000;
const TEXT_MAX = 400;
const BOUNDS: Bounds = { depthMax: 3, entriesMax: 8, textMax: 80, valuesMax: 100 };

/** What a live trace shows: every given part has to fit. */
export type TapSpec = {
  readonly id: number;
  /** Indices of actors: the message goes to one of them, or comes from one. */
  readonly actors: readonly number[] | undefined;
  readonly from: readonly number[] | undefined;
  readonly to: readonly number[] | undefined;
  /** Kinds, or the parts of one (`heard.heartbeat`). */
  readonly kinds: readonly string[] | undefined;
  /** Beginning of a trace id, hex digits. */
  readonly trace: string | undefined;
  /** Messages a second that a thread shows. */
  readonly perSecondMax: number;
};

export type TapLine = {
  readonly tap: number;
  readonly atMs: number;
  readonly from: number;
  readonly to: number;
  readonly kind: string;
  readonly cause: Cause;
  readonly trace: string;
  readonly span: string;
  /** Milliseconds that its step took. */
  readonly handledMs: number;
  readonly text: string;
};

/** The kind; of a message that carries one of somebody else, both: `heard.heartbeat`. */
export const innerKind = (message: Message): string => {
  const { kind, message: inner } = message as Message & { readonly message?: unknown };
  if (typeof inner !== 'object' || inner === null) return kind;
  const { kind: second } = inner as { readonly kind?: unknown };
  return typeof second === 'string' ? `${kind}.${second}` : kind;
};

/** A message as one line: bounded, without secrets, and without what the kernel put into it for the way back. */
export const textOf = (message: Message): string => {
  const { kind: _, replyTo: __, ...fields } = message as Message & { readonly replyTo?: unknown };
  const text = inspect(bounded(fields, BOUNDS), {
    depth: BOUNDS.depthMax,
    breakLength: Number.POSITIVE_INFINITY,
  });
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX - 1)}…` : text;
};

export type Tap = {
  wants(to: number, from: number, kind: string, context: SpanContext): boolean;
  /** One more within this second's rate? */
  allows(atMs: number): boolean;
  line(mailbox: Mailbox, message: Message, kind: string): TapLine;
};

const tapOf = (spec: TapSpec): Tap => {
  const { actors, from, to, kinds, trace, perSecondMax } = spec;
  const isKind = (kind: string): boolean =>
    kinds === undefined || kinds.includes(kind) || kind.split('.').some((k) => kinds.includes(k));
  const idOf = (c: SpanContext): string => traceIdOf([c.trace0, c.trace1, c.trace2, c.trace3]);
  let second = 0;
  let shown = 0;
  return {
    wants: (receiver, sender, kind, context) =>
      (actors === undefined || actors.includes(receiver) || actors.includes(sender)) &&
      (from === undefined || from.includes(sender)) &&
      (to === undefined || to.includes(receiver)) &&
      isKind(kind) &&
      (trace === undefined || idOf(context).startsWith(trace)),
    allows: (atMs) => {
      const now = Math.floor(atMs / 1000);
      if (now !== second) shown = 0;
      second = now;
      return ++shown <= perSecondMax;
    },
    line: ({ atMs, index, out }, message, kind) => ({
      tap: spec.id,
      atMs,
      from: out.from,
      to: index,
      kind,
      cause: CAUSES[out.cause] ?? 'own',
      trace: idOf(out),
      span: spanIdOf(out.span0, out.span1),
      handledMs: 0,
      text: textOf(message),
    }),
  };
};

export const tapsOf = (specs: readonly TapSpec[]): readonly Tap[] => specs.map(tapOf);
