/** What nft would do, done by its library, in the small process that else starts programs. */
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { byLibrary } from '#native/nft-library.ts';
import type { Ran } from '#native/spawner.ts';
import { isRoot } from '#test/kit/namespaces.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { hasPrograms } from '#test/kit/programs.ts';
import { holds, run, smallOf } from '#test/kit/small-process.ts';

const hasNft = isRoot && hasPrograms('ip', 'nft');

describe.skipIf(!hasNft)('nft by its library (needs root and ip and nft)', () => {
  const netns = `cmlib${process.pid}`;
  const inside = (...words: readonly string[]) => ['ip', 'netns', 'exec', netns, ...words];
  const script = (set: string): string =>
    `add table inet t\nadd set inet t ${set} { type ipv4_addr; flags timeout; }
add element inet t ${set} { 192.0.2.1 timeout 1h, 192.0.2.2 timeout 1h }`;
  beforeAll(() => run(['ip', 'netns', 'add', netns]));
  afterAll(() => run(['ip', 'netns', 'del', netns]));

  /** As the program itself does it: somebody's own wrapper stands before it on the PATH. */
  const byProgram = async (words: readonly string[], input = ''): Promise<Ran> => {
    const folder = temporaryFolder();
    const before = process.env.PATH;
    const wrapper = `#!/bin/sh\necho used >> ${folder.path}/used\nPATH=${before}\nexec nft "$@"\n`;
    writeFileSync(path.join(folder.path, 'nft'), wrapper, { mode: 0o755 });
    try {
      process.env.PATH = `${folder.path}:${before}`;
      const ran = await run(words, { input });
      expect(existsSync(path.join(folder.path, 'used'))).toBe(true);
      return ran;
    } finally {
      process.env.PATH = before;
      folder.remove();
    }
  };
  const withoutTime = (ran: Ran): unknown =>
    ran.how === 'ended' ? { ...ran, out: ran.out.replace(/"?expires"?:? ?[\dmsh]+/g, '') } : ran;

  test('says the same as the program, of what is there and of what is not', async () => {
    expect(await run(inside('nft', '-f', '-'), { input: script('one') })).toMatchObject({
      code: 0,
    });
    const listings = [
      ['-j', '-n', 'list', 'table', 'inet', 't'],
      ['-j', '-n', '-t', 'list', 'ruleset', 'inet'],
      ['list', 'ruleset'],
    ];
    for (const words of listings) {
      const shown = await run(inside('nft', ...words));
      expect(withoutTime(shown)).toEqual(withoutTime(await byProgram(inside('nft', ...words))));
      expect(shown).toMatchObject({ how: 'ended', code: 0, out: expect.stringContaining('one') });
    }
    const absent = await run(inside('nft', '-j', '-n', 'list', 'table', 'inet', 'absent'));
    expect(absent).toMatchObject({ code: 1, text: expect.stringMatching(/^Error: No such file/) });
    const wrong = await run(inside('nft', '-f', '-'), { input: 'nonsense' });
    expect(wrong).toMatchObject({ code: 1, text: expect.stringMatching(/^Error: /) });
  });

  test('is asked for what it knows, and the program for the rest', async () => {
    const system = '/usr/sbin:/usr/bin';
    const asked = (words: readonly string[], at = system): string | undefined =>
      byLibrary({ words, input: '', timeoutMs: 1000, outputBytesMax: 1000 }, at)?.how;
    expect(asked(inside('nft', '-j', '-t', 'list', 'ruleset'))).toBe('ended');
    expect(asked(inside('nft', '-f', '-'))).toBe('ended');
    for (const words of [['-a', 'list', 'ruleset'], ['-f', '/a/file'], ['-i']]) {
      expect(asked(inside('nft', ...words))).toBeUndefined();
    }
    expect(asked(['ip', '-j', 'addr'])).toBeUndefined();
    expect(asked(['ip', 'netns', 'exec', 'absent', 'nft', '-f', '-'])).toBeUndefined();
    expect(asked(['ip', 'netns', 'exec', '../x', 'nft', '-f', '-'])).toBeUndefined();
    expect(asked(inside('nft', '-f', '-'), '/nowhere')).toBeUndefined();
  });

  test('changes all or nothing, and nothing when it is only to look', async () => {
    const sets = async (): Promise<string> => {
      const ran = await run(inside('nft', 'list', 'sets'));
      return ran.how === 'ended' ? ran.out : ran.how;
    };
    const dry = await run(inside('nft', '-c', '-f', '-'), { input: script('two') });
    expect(dry).toMatchObject({ code: 0 });
    expect(await sets()).not.toContain('two');
    const half = `${script('three')}\nadd element inet t absent { 192.0.2.9 }`;
    expect(await run(inside('nft', '-f', '-'), { input: half })).toMatchObject({ code: 1 });
    expect(await sets()).not.toContain('three');
  });

  test('goes into the namespace that has the name now, and comes back', async () => {
    const own = await run(['readlink', '/proc/self/ns/net']);
    await run(inside('nft', '-f', '-'), { input: script('four') });
    await run(['ip', 'netns', 'del', netns]);
    const gone = await run(inside('nft', 'list', 'ruleset'));
    expect(gone).toMatchObject({ text: expect.stringMatching(/^Cannot open network namespace/) });
    await run(['ip', 'netns', 'add', netns]);
    expect(await run(inside('nft', 'list', 'ruleset'))).toMatchObject({ code: 0, out: '' });
    await run(inside('nft', '-f', '-'), { input: script('five') });
    const shown = await byProgram(inside('nft', 'list', 'ruleset'));
    expect(shown).toMatchObject({ out: expect.stringContaining('five') });
    expect(await run(['readlink', '/proc/self/ns/net'])).toEqual(own);
  });

  test('is in the memory of the small process, and not called any more once that has died with work in hand', async () => {
    const shown = await run(inside('nft', '-j', 'list', 'ruleset'));
    const small = smallOf(process.pid)!;
    expect(holds(small, 'libnftables')).toBe(true);
    const slow = run(['sleep', '100']);
    await run(['true']);
    process.kill(small, 'SIGKILL');
    expect(await slow).toMatchObject({ how: 'failed' });
    expect(withoutTime(await run(inside('nft', '-j', 'list', 'ruleset')))).toEqual(
      withoutTime(shown),
    );
    expect(holds(smallOf(process.pid)!, 'libnftables')).toBe(false);
  });
});
