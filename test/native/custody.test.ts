import { setTimeout as pause } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { custodyBytes, inNative, openCustody, resetCustody, seize } from '#native/custody.ts';

const memory = (): SharedArrayBuffer => new SharedArrayBuffer(custodyBytes(2));

test('an idle thread is seized at once, and enters no native call any more', async () => {
  const m = memory();
  const custody = openCustody(m, 1);
  expect(await seize(m, 1, 1000)).toBe(true);
  let called = false;
  void custody.native(async () => {
    called = true;
  });
  await pause(10);
  expect(called).toBe(false);
});

test('a thread in a native call is seized when the last of its calls has ended', async () => {
  const m = memory();
  const custody = openCustody(m, 0);
  const first = custody.native(() => pause(30));
  const second = custody.native(() => pause(120));
  expect(inNative(m, 0)).toBe(true);
  const seized = seize(m, 0, 1000);
  await first;
  expect(inNative(m, 0)).toBe(true);
  await second;
  expect(await seized).toBe(true);
  expect(inNative(m, 0)).toBe(false);
});

test('a call after the wish to terminate waits, so that a busy thread cannot starve it', async () => {
  const m = memory();
  const custody = openCustody(m, 0);
  const first = custody.native(() => pause(60));
  const seized = seize(m, 0, 1000);
  let called = false;
  void custody.native(async () => {
    called = true;
  });
  await first;
  expect(await seized).toBe(true);
  expect(called).toBe(false);
});

test('a call that does not end is not seized within its time', async () => {
  const m = memory();
  void openCustody(m, 0).native(() => new Promise(() => {}));
  expect(await seize(m, 0, 80)).toBe(false);
});

test('a call that fails gives the thread back; the next incarnation begins idle', async () => {
  const m = memory();
  const custody = openCustody(m, 0);
  await expect(custody.native(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
  expect(inNative(m, 0)).toBe(false);
  await seize(m, 0, 10);
  resetCustody(m, 0);
  expect(await openCustody(m, 0).native(async () => 7)).toBe(7);
});
