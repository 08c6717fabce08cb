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
  expect(second.suspect()).toEqual({ from: 2, position: 640, delivery: 0, poison: false });
  second.take(2, 640);
  second.blame();
  expect(hand(shared).suspect()).toEqual({ from: 2, position: 640, delivery: 0, poison: true });
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
  expect(h.suspect()).toEqual({ from: 2, position: 704, delivery: 0, poison: false });
});

test('a delivery is known by its number, wherever its sender writes it again', () => {
  const shared = memory();
  const h = hand(shared);
  h.take(2, 640);
  h.delivers(7);
  h.blame();
  h.take(2, 640); // the same place, another message
  h.done();
  h.take(2, 704);
  h.delivers(6);
  h.done();
  expect(h.isPoison(2, 7)).toBe(false);
  h.take(2, 768);
  h.delivers(7);
  h.blame();
  expect(hand(shared).isPoison(2, 7)).toBe(true);
  expect(h.isPoison(1, 7)).toBe(false);
  expect(h.isPoison(2, 8)).toBe(false);
  h.take(2, 832); // passed over without being handled
  h.done();
  expect(h.isPoison(2, 7)).toBe(true);
});

test('the span of a broken step is told once, and to nobody whose predecessor died with nothing in hand', () => {
  const h = hand(memory());
  h.take(2, 640);
  h.step(3, 4);
  h.done();
  h.blame();
  expect(h.broken()).toBeUndefined();
  h.take(2, 704);
  h.step(3, 5);
  h.blame();
  expect(h.broken()).toEqual({ span0: 3, span1: 5 });
  expect(h.broken()).toBeUndefined();
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
