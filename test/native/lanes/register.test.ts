import { expect, test } from 'vitest';
import { openRegister, registerBytes } from '#native/lanes/register.ts';

const fresh = () => openRegister(new SharedArrayBuffer(registerBytes(2)));

test('every life has a number of its own, one that dies before it serves, too', () => {
  const register = fresh();
  const numbers: number[] = [];
  for (const serves of [true, false, true]) {
    register.open(1);
    numbers.push(register.incarnation(1));
    expect(register.life(1)).toBe('down');
    if (serves) register.begin(1);
    register.end(1, 'down');
  }
  expect(numbers).toEqual([0, 1, 2]);
  expect(register.incarnation(0)).toBe(0);
});

test('an end that is told twice ends one life', () => {
  const register = fresh();
  register.open(0);
  register.begin(0);
  register.end(0, 'down');
  register.end(0, 'gone');
  expect(register.incarnation(0)).toBe(1);
  expect(register.life(0)).toBe('gone');
});

test('every change moves the epoch', () => {
  const register = fresh();
  const seen = [register.epoch()];
  for (const change of [() => register.begin(0), () => register.end(0, 'down'), register.stir]) {
    change();
    seen.push(register.epoch());
  }
  expect(new Set(seen).size).toBe(4);
});
