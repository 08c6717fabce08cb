/** Reads the table at the start and looks at it now and then: a watch misses what editors and mounts do. */
import { readFile, stat } from 'node:fs/promises';
import { isAbsolute } from 'node:path';
import { fileURLToPath } from 'node:url';
import { crypto } from '#native/crypto.ts';
import { hex, utf8 } from '#proto/bytes.ts';
import type { Io } from '#runtime/actor.ts';
import type { RulesConfig } from './config.ts';
import type { Self } from './core.ts';

type Commands = Record<never, never>;

export const pathOf = (file: string): string =>
  isAbsolute(file) ? file : fileURLToPath(new URL(`../../config/${file}`, import.meta.url));

const said = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));

export const io: Io<RulesConfig, Self, Commands> = async (config, port) => {
  const path = pathOf(config.file);
  let seen = '';
  let complained = false;
  const look = async (): Promise<void> => {
    try {
      const { mtimeMs, size } = await stat(path);
      const mark = `${mtimeMs}/${size}`;
      if (mark === seen) return;
      const text = await readFile(path, 'utf8');
      if (port.deliver({ kind: 'file', text, sha256: hex(crypto.sha256(utf8(text))) })) seen = mark;
      complained = false;
    } catch (cause) {
      if (complained) return;
      complained = port.deliver({ kind: 'unreadable', reason: `${path}: ${said(cause)}` });
    }
  };
  await look();
  let looking = false;
  const timer = setInterval(() => {
    if (looking) return;
    looking = true;
    void look().finally(() => {
      looking = false;
    });
  }, config.reloadEveryMs);
  timer.unref();
  return { commands: {}, close: () => clearInterval(timer) };
};
