/**
 * The vocabulary of a protocol declaration. One declaration gives the TypeScript types, the layout in
 * the lane and the names in a trace.
 */
export type FieldCode =
  | 'f64'
  | 'u32'
  | 'i64'
  | 'bool'
  | 'bytes'
  | 'blob'
  | 'str'
  | 'atom'
  | 'oneOf'
  | 'list'
  | 'shared';

export type Field<T> = {
  readonly code: FieldCode;
  /** Bytes in the fixed part of the layout; 0 where the size varies. */
  readonly size: number;
  readonly values?: readonly string[];
  readonly item?: Field<unknown>;
  readonly _type?: T;
};

export const f64: Field<number> = { code: 'f64', size: 8 };
export const u32: Field<number> = { code: 'u32', size: 4 };
/** A 64-bit signed integer, as bigint. Milliseconds and heights are safe integers: use f64. */
export const i64: Field<bigint> = { code: 'i64', size: 8 };
export const bool: Field<boolean> = { code: 'bool', size: 1 };
/** Exactly n bytes, copied out on receipt. */
export const bytes = (n: number): Field<Uint8Array> => ({ code: 'bytes', size: n });
/** Any number of bytes (up to 16 MiB), copied out on receipt. Above 32 KiB they travel in slabs, not in the lane. */
export const blob: Field<Uint8Array> = { code: 'blob', size: 0 };
/** Text up to 32,767 bytes of UTF-8. */
export const str: Field<string> = { code: 'str', size: 0 };
/** Text that repeats (names, topics): interned by the receiver, no allocation when seen before. */
export const atom: Field<string> = { code: 'atom', size: 0 };
/** A closed set of words: one byte. */
export const oneOf = <const V extends readonly string[]>(...values: V): Field<V[number]> => ({
  code: 'oneOf',
  size: 1,
  values,
});
/** Up to 4,096 items of one field. */
export const list = <T>(item: Field<T>): Field<readonly T[]> => ({
  code: 'list',
  size: 0,
  item: item as Field<unknown>,
});
/**
 * Bytes in shared memory, passed by handle: written once by the sender, read in place by every receiver
 * (a batch of flows). The sender gives any Uint8Array; told to several actors within one step, the same
 * array is written once. The receiver's view is 8-byte aligned, read-only by convention, and valid
 * until its step and the io calls that the step started have ended. Up to 512 KiB.
 */
export const shared: Field<Uint8Array> = { code: 'shared', size: 8 };

// biome-ignore lint/suspicious/noExplicitAny: a declaration holds fields of any type
export type Fields = { readonly [name: string]: Field<any> };
export type Question<F extends Fields, A extends Fields> = { readonly ask: F; readonly answer: A };
/** A message that is asked, not told: its answer is typed with it. */
export const question = <F extends Fields, A extends Fields>(
  ask: F,
  answer: A,
): Question<F, A> => ({
  ask,
  answer,
});
/** A message that is delivered at least once: its receiver confirms it. */
export type Delivery<F extends Fields> = { readonly deliver: F };
/** A message for `fx.deliver`: kept and sent again until its receiver has confirmed it. */
export const delivery = <F extends Fields>(fields: F): Delivery<F> => ({ deliver: fields });

export type Declared = Fields | Question<Fields, Fields> | Delivery<Fields>;
export type Declaration = { readonly [kind: string]: Declared };

/** What a delivery is known by: its sender, and the number that the sender gave it. To be confirmed, also later. */
export type Delivered = {
  readonly from: number;
  readonly n: number;
  /** How much larger `n` is than the number before it that is not confirmed; 0 = there is none. */
  readonly gap: number;
};

/** Where an answer goes: a value that may be kept and answered in a later step. */
export type ReplyTo<A> = {
  readonly from: number;
  readonly ask: number;
  readonly incarnation: number;
  readonly kind: number;
  /** The deadline of the question, monotonic milliseconds. */
  readonly dueMs?: number;
  readonly _answer?: A;
};

type Body<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never };

/** The messages that an actor of this declaration receives. */
export type MessageOf<D extends Declaration> = {
  [K in keyof D & string]: D[K] extends Question<infer F, infer A>
    ? { readonly kind: K; readonly replyTo: ReplyTo<Body<A>> } & Body<F>
    : D[K] extends Delivery<infer F>
      ? { readonly kind: K; readonly delivery: Delivered } & Body<F>
      : D[K] extends Fields
        ? { readonly kind: K } & Body<D[K]>
        : never;
}[keyof D & string];

/** What may be told to it. */
export type TellOf<D extends Declaration> = {
  [K in keyof D & string]: D[K] extends Question<Fields, Fields> | Delivery<Fields>
    ? never
    : D[K] extends Fields
      ? { readonly kind: K } & Body<D[K]>
      : never;
}[keyof D & string];

/** What may be delivered to it. */
export type DeliveryOf<D extends Declaration> = {
  [K in keyof D & string]: D[K] extends Delivery<infer F> ? { readonly kind: K } & Body<F> : never;
}[keyof D & string];

/** What it may be asked. */
export type QuestionOf<D extends Declaration> = {
  [K in keyof D & string]: D[K] extends Question<infer F, Fields>
    ? { readonly kind: K } & Body<F>
    : never;
}[keyof D & string];

export type AnswerTo<D extends Declaration, K extends keyof D> =
  D[K] extends Question<Fields, infer A> ? Body<A> : never;

export const isQuestion = (d: Declared): d is Question<Fields, Fields> =>
  'answer' in d && !('code' in (d.answer as object));

export const isDelivery = (d: Declared): d is Delivery<Fields> =>
  'deliver' in d && !('code' in (d.deliver as object));

/** The fields of a message, whichever way it goes. */
export const fieldsOf = (d: Declared): Fields =>
  isQuestion(d) ? d.ask : isDelivery(d) ? d.deliver : d;
