import { expect, test } from 'vitest';
import { readArguments, readDuration, takeOutput } from '#runtime/cli/arguments.ts';
import { settingsOf } from '#runtime/cli/options.ts';
import { pressCounter } from '#runtime/cli/stop-signals.ts';

const kinds = { set: { type: 'string', multiple: true }, for: { type: 'string' } } as const;

test('options and positionals may stand in any order', () => {
  const parsed = readArguments(['--set', 'a=1', 'x.yaml', '--set=b=2'], kinds, ['file']);
  expect(parsed).toEqual({
    ok: true,
    value: { options: { set: ['a=1', 'b=2'] }, positionals: ['x.yaml'] },
  });
});

test('what is missing, too much or unknown is said in one sentence', () => {
  const fault = (args: string[]) => {
    const parsed = readArguments(args, kinds, ['the topology file']);
    return parsed.ok ? '' : parsed.error;
  };
  expect(fault([])).toBe('the topology file is missing');
  expect(fault(['a', 'b'])).toBe('unexpected argument b');
  expect(fault(['a', '--sett=1'])).toBe('unknown option --sett; did you mean --set?');
  expect(fault(['a', '--for'])).toContain('--for');
});

test('-o json is taken off the arguments of any command', () => {
  for (const form of [
    ['-o', 'json'],
    ['-ojson'],
    ['-o=json'],
    ['--output=json'],
    ['--output', 'json'],
  ]) {
    expect(takeOutput(['check', ...form, 'x'])).toEqual({
      ok: true,
      value: { json: true, rest: ['check', 'x'] },
    });
  }
  expect(takeOutput(['check', '-o', 'xml'])).toEqual({
    ok: false,
    error: '-o takes json or text, not xml',
  });
});

test('a duration has a unit', () => {
  expect(readDuration('30s')).toEqual({ ok: true, value: 30_000 });
  expect(readDuration('500ms')).toEqual({ ok: true, value: 500 });
  expect(readDuration('1.5m')).toEqual({ ok: true, value: 90_000 });
  for (const wrong of ['30', 's', '-1s', '1ms', '9999999h', '']) {
    expect(readDuration(wrong).ok).toBe(false);
  }
});

test('--source kind:path replaces the whole source', () => {
  expect(settingsOf({ source: 'pcap:a:b.pcap', set: ['x=1'] })).toEqual({
    ok: true,
    value: ['x=1', 'detection.telemetry.config.source={"kind":"pcap","path":"a:b.pcap"}'],
  });
  expect(settingsOf({ source: 'none' })).toEqual({
    ok: true,
    value: ['detection.telemetry.config.source={"kind":"none"}'],
  });
  expect(settingsOf({ source: ':x' }).ok).toBe(false);
});

test('presses within half a second count once; the second press forces', () => {
  const press = pressCounter();
  expect(press(0)).toBe('drain');
  expect(press(3)).toBe('same');
  expect(press(499)).toBe('same');
  expect(press(500)).toBe('force');
  expect(press(501)).toBe('same');
  expect(press(2000)).toBe('force');
});
