import { expect, test } from 'vitest';
import { Hand, handsBytes } from '#native/lanes/hand.ts';

const memory = (): SharedArrayBuffer => new SharedArrayBuffer(handsBytes(3));
const hand = (shared: SharedArrayBuffer): Hand => new Hand(shared, 1);

test('who dies with nothing in hand suspects nothing', () => {
  const h = hand(memory());
  expect(h.blame()).toBe(false);
  h.take(0, 64);
  h.done();
  expect(h.blame()).toBe(false);
  expect(h.suspect()).toBeUndefined();
});

test('the message in hand at a death is the suspect of the next incarnation, at the second death poison', () => {
  const shared = memory();
  const first = hand(shared);
  first.take(2, 640);
  expect(first.blame()).toBe(true);
  const second = hand(shared);
  expect(second.suspect()).toEqual({ from: 2, position: 640, poison: false });
  second.take(2, 640);
  second.blame();
  expect(hand(shared).suspect()).toEqual({ from: 2, position: 640, poison: true });
});

test('a suspect that is handled after all is none any more; what is handled before it changes nothing', () => {
  const h = hand(memory());
  h.take(2, 640);
  h.blame();
  h.take(0, 640);
  h.done();
  expect(h.suspect()).toBeDefined();
  h.take(2, 640);
  h.done();
  expect(h.suspect()).toBeUndefined();
});

test('deaths are counted for one message: another one begins anew', () => {
  const h = hand(memory());
  h.take(2, 640);
  h.blame();
  h.take(2, 704);
  h.blame();
  expect(h.suspect()).toEqual({ from: 2, position: 704, poison: false });
});

test('a kill from outside suspects nothing, and acquits what was tried again', () => {
  const h = hand(memory());
  h.take(2, 640);
  h.acquit();
  expect(h.suspect()).toBeUndefined();
  h.take(2, 640);
  h.blame();
  h.take(2, 640);
  h.acquit();
  expect(h.suspect()).toBeUndefined();
});

test('each actor has a hand of its own', () => {
  const shared = memory();
  new Hand(shared, 0).take(1, 2);
  expect(new Hand(shared, 2).blame()).toBe(false);
  expect(new Hand(shared, 0).blame()).toBe(true);
});
