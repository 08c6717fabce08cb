/** What must not compile of deliveries, services, watches and cancellation. Checked by tsc; vitest sees that it loads. */
import { expect, test } from 'vitest';
import { z } from 'zod';
import {
  type Address,
  address,
  type Core,
  type Delivered,
  defineActor,
  delivery,
  type Effects,
  type Listing,
  type MessagesTo,
  question,
  type ReplyTo,
  service,
  str,
  type Terminated,
  u32,
} from '#runtime/actor.ts';

const store = address('store', {
  order: delivery({ item: str }),
  count: question({ item: str }, { n: u32 }),
  note: { text: str },
});
const other = address('other', { ping: { text: str } });
const stores = service('stores', store);
type Failure = { readonly ok: false; readonly error: 'no-such-actor' | 'too-many' };
type Self =
  | MessagesTo<typeof store>
  | {
      readonly kind: 'done';
      readonly n: number;
      readonly result: { ok: true; value: object } | Failure;
    }
  | { readonly kind: 'counted'; readonly result: { ok: true; value: { n: number } } }
  | { readonly kind: 'found'; readonly listing: Listing<typeof stores> }
  | { readonly kind: 'foundOthers'; readonly listing: readonly Address<typeof other.declaration>[] }
  | { readonly kind: 'over'; readonly who: string; readonly terminated: Terminated }
  | { readonly kind: 'plain'; readonly text: string };
declare const fx: Effects<Self>;
declare const to: ReplyTo<{ readonly n: number }>;
declare const delivered: Delivered;
declare const listing: Listing<typeof stores>;

const rightUses = (): void => {
  fx.deliver(store, { kind: 'order', item: 'a' }, 1, { kind: 'done', n: 1 });
  fx.confirm(delivered);
  fx.watch(store, { kind: 'over', who: 'store' });
  fx.watch(store, { kind: 'plain', text: '' });
  fx.unwatch(store);
  fx.every(10, { kind: 'plain', text: '' }, 'beat');
  fx.stash({ kind: 'plain', text: '' });
  fx.unstash();
  fx.register(stores);
  fx.deregister(stores);
  fx.find(stores, { kind: 'found' });
  fx.subscribe(stores, { kind: 'found' });
  fx.unsubscribe(stores);
  fx.tell(listing[0]!, { kind: 'note', text: '' });
  fx.giveUp('search');
  fx.whenCancelled(to, { kind: 'plain', text: '' });
};

const wrongUses = (): void => {
  // @ts-expect-error a delivery is delivered, not told
  fx.tell(store, { kind: 'order', item: 'a' });
  // @ts-expect-error a delivery is not asked
  fx.ask(store, { kind: 'order', item: 'a' }, { kind: 'counted' });
  // @ts-expect-error a message that is told is not delivered
  fx.deliver(store, { kind: 'note', text: '' }, 1, { kind: 'done', n: 1 });
  // @ts-expect-error a question is not delivered
  fx.deliver(store, { kind: 'count', item: '' }, 1, { kind: 'done', n: 1 });
  // @ts-expect-error wrong type of a field of a delivery
  fx.deliver(store, { kind: 'order', item: 1 }, 1, { kind: 'done', n: 1 });
  // @ts-expect-error a delivery has a number
  fx.deliver(store, { kind: 'order', item: 'a' }, { kind: 'done', n: 1 });
  // @ts-expect-error a delivery says what its confirmation arrives as
  fx.deliver(store, { kind: 'order', item: 'a' }, 1);
  // @ts-expect-error the confirmation lacks a field
  fx.deliver(store, { kind: 'order', item: 'a' }, 1, { kind: 'done' });
  // @ts-expect-error that message has no room for a result
  fx.deliver(store, { kind: 'order', item: 'a' }, 1, { kind: 'plain', text: '' });
  // @ts-expect-error what is asked is no delivery
  fx.confirm(to);
  // @ts-expect-error no message of ours
  fx.watch(store, { kind: 'nobody' });
  // @ts-expect-error the message of a watch lacks a field
  fx.watch(store, { kind: 'over' });
  // @ts-expect-error the runtime fills in how it ended
  fx.watch(store, { kind: 'over', who: '', terminated: 1 });
  // @ts-expect-error a periodic timer has a key
  fx.every(10, { kind: 'plain', text: '' });
  // @ts-expect-error no message of ours
  fx.every(10, { kind: 'nobody' }, 'beat');
  // @ts-expect-error only one's own messages are put aside
  fx.stash({ kind: 'order', item: 'a' });
  // @ts-expect-error an address is no service
  fx.register(store);
  // @ts-expect-error no room for a listing
  fx.find(stores, { kind: 'plain', text: '' });
  // @ts-expect-error a listing of other actors
  fx.find(stores, { kind: 'foundOthers' });
  // @ts-expect-error whom the listing names does not understand that
  fx.tell(listing[0]!, { kind: 'nothing' });
  // @ts-expect-error a key is text
  fx.giveUp(1);
  // @ts-expect-error a delivery is no question
  fx.whenCancelled(delivered, { kind: 'plain', text: '' });
  // @ts-expect-error no message of ours
  fx.whenCancelled(to, { kind: 'nobody' });
};

const config = z.strictObject({});
const core: Core<object, undefined, Self> = { init: () => undefined, step: () => {} };
const actors = [
  defineActor({ self: store, config, core, sends: [stores, other], offers: [stores] }),
  // @ts-expect-error offers a service whose messages are not its own
  defineActor({ self: store, config, core, sends: [], offers: [service('others', other)] }),
  // @ts-expect-error a name is no address
  defineActor({ self: store, config, core, sends: ['store'] }),
];

test('an actor as a value keeps what it offers', () => {
  expect(actors[0]!.offers).toEqual([stores]);
  expect([rightUses, wrongUses]).toHaveLength(2); // checked, never called
});
