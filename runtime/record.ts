/** What the system remembers of its events: bounded lists of notices and dead letters, and the newest facts. */
import type { DeadLetters, Notice } from './events.ts';
import type { DeadLetter, DeadReason } from './thread.ts';

const NOTICES_MAX = 100;
const LETTERS_MAX = 200;

export type Facts = { readonly [path: string]: { readonly [name: string]: string } };

export type SystemRecord = {
  fact(path: string, name: string, value: string): void;
  notice(notice: Notice): void;
  letter(letter: DeadLetter, times?: number): void;
  facts(): Facts;
  notices(): readonly Notice[];
  deadLetters(): DeadLetters;
};

export const openRecord = (): SystemRecord => {
  const facts: Record<string, Record<string, string>> = {};
  const notices: Notice[] = [];
  const newest: DeadLetter[] = [];
  const byReason: { [reason in DeadReason]?: number } = {};
  let total = 0;
  return {
    fact: (path, name, value) => {
      facts[path] = { ...facts[path], [name]: value };
    },
    notice: (notice) => {
      notices.push(notice);
      if (notices.length > NOTICES_MAX) notices.shift();
    },
    letter: (letter, times = 1) => {
      total += times;
      byReason[letter.reason] = (byReason[letter.reason] ?? 0) + times;
      newest.push(letter);
      if (newest.length > LETTERS_MAX) newest.shift();
    },
    facts: () => ({ ...facts }),
    notices: () => [...notices],
    deadLetters: () => ({ total, byReason: { ...byReason }, newest: [...newest] }),
  };
};
