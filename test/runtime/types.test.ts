/** What must not compile. Checked by tsc; vitest only sees that the file loads. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import {
  type Answered,
  address,
  bytes,
  type Core,
  defineActor,
  type Effects,
  type MessagesTo,
  oneOf,
  question,
  type ReplyTo,
  str,
  u32,
} from '#runtime/actor.ts';

const signer = address('signer', {
  sign: question({ view: u32, digest: bytes(32) }, { signature: bytes(64) }),
  rotateKey: { keyId: str },
  mode: { to: oneOf('hot', 'cold') },
});
type Self =
  | MessagesTo<typeof signer>
  | {
      readonly kind: 'voteSigned';
      readonly view: number;
      readonly result: Answered<typeof signer, 'sign'>;
    }
  | { readonly kind: 'other'; readonly text: string };
type Io = { readonly persist: { readonly height: number } };
declare const fx: Effects<Self, Io>;
declare const digest: Uint8Array;
declare const to: ReplyTo<{ readonly signature: Uint8Array }>;

const rightUses = (): void => {
  fx.tell(signer, { kind: 'rotateKey', keyId: 'k' });
  fx.ask(signer, { kind: 'sign', view: 1, digest }, { kind: 'voteSigned', view: 1 });
  fx.ask(signer, { kind: 'sign', view: 1, digest }, { kind: 'voteSigned', view: 1 }, 500);
  fx.reply(to, { signature: digest });
  fx.after(10, { kind: 'other', text: '' }, 'key');
  fx.io('persist', { height: 1 });
  fx.stop('halt');
};

const wrongUses = (): void => {
  // @ts-expect-error a question is asked, not told
  fx.tell(signer, { kind: 'sign', view: 1, digest });
  // @ts-expect-error no such message
  fx.tell(signer, { kind: 'rotate', keyId: 'k' });
  // @ts-expect-error wrong type of a field
  fx.tell(signer, { kind: 'rotateKey', keyId: 1 });
  // @ts-expect-error a field is missing
  fx.tell(signer, { kind: 'rotateKey' });
  // @ts-expect-error a field too many
  fx.tell(signer, { kind: 'rotateKey', keyId: 'k', more: 1 });
  // @ts-expect-error not one of its words
  fx.tell(signer, { kind: 'mode', to: 'warm' });
  // @ts-expect-error not a question
  fx.ask(signer, { kind: 'rotateKey', keyId: 'k' }, { kind: 'voteSigned', view: 1 });
  // @ts-expect-error the resume lacks its view
  fx.ask(signer, { kind: 'sign', view: 1, digest }, { kind: 'voteSigned' });
  // @ts-expect-error the resume is no message of ours
  fx.ask(signer, { kind: 'sign', view: 1, digest }, { kind: 'nobody', view: 1 });
  // @ts-expect-error that message of ours has no room for a result
  fx.ask(signer, { kind: 'sign', view: 1, digest }, { kind: 'other', text: '' });
  // @ts-expect-error wrong answer
  fx.reply(to, { sig: digest });
  // @ts-expect-error an answer with a field too many
  fx.reply(to, { signature: digest, more: 1 });
  // @ts-expect-error no message of ours
  fx.after(10, { kind: 'nobody' });
  // @ts-expect-error no such command
  fx.io('forget', { height: 1 });
  // @ts-expect-error wrong argument of a command
  fx.io('persist', { height: '1' });
};

/** An ask of which the answer has another type than the resume expects. */
declare const other: Effects<{
  readonly kind: 'done';
  readonly result: Answered<typeof wrongSigner, 'sign'>;
}>;
const wrongSigner = address('wrong', { sign: question({ view: u32 }, { height: u32 }) });
const wrongAnswer = (): void => {
  other.ask(wrongSigner, { kind: 'sign', view: 1 }, { kind: 'done' });
  // @ts-expect-error the answer has a signature, the resume expects a height
  other.ask(signer, { kind: 'sign', view: 1, digest }, { kind: 'done' });
};

const config = z.strictObject({ limit: z.number().default(1) });
const core: Core<z.output<typeof config>, number, Self, Io> = {
  init: ({ limit }) => limit,
  step: () => {},
};
type OneKind = Extract<Self, { readonly kind: 'rotateKey' }>;
const narrow: Core<z.output<typeof config>, number, OneKind> = { init: () => 1, step: () => {} };
const io = () => ({ commands: { persist: () => {} } });

const actors = [
  defineActor({ self: signer, config, core, sends: [signer], io }),
  defineActor({ self: signer, core, sends: ({ limit }) => (limit > 1 ? [signer] : []), io }),
  // @ts-expect-error the core does not handle every message of its address
  defineActor({ self: signer, config, core: narrow, sends: [] }),
  // @ts-expect-error the core wants other settings than the schema gives
  defineActor({ self: signer, config: z.strictObject({ key: z.number() }), core, sends: [] }),
  // @ts-expect-error the adapter lacks a command
  defineActor({ self: signer, config, core, sends: [], io: () => ({ commands: {} }) }),
];

test('an actor as a value keeps its address', () => {
  expect(actors[0]!.self).toBe(signer);
  expect([rightUses, wrongUses, wrongAnswer]).toHaveLength(3); // checked, never called
});
