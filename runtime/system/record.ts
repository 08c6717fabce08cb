/** What the system remembers of its events: bounded lists of notices and dead letters, and the newest facts. */
import type { Notice } from '../events.ts';
import type { DeadLetter } from './thread.ts';

const NOTICES_MAX = 100;
const LETTERS_MAX = 200;

export type Facts = { readonly [path: string]: { readonly [name: string]: string } };

export type SystemRecord = {
  fact(path: string, name: string, value: string): void;
  notice(notice: Notice): void;
  /** Keeps it among the newest. */
  letter(letter: DeadLetter): void;
  facts(): Facts;
  notices(): readonly Notice[];
  /** Oldest first, at most 200. */
  letters(): readonly DeadLetter[];
};

export const openRecord = (): SystemRecord => {
  const facts: Record<string, Record<string, string>> = {};
  const notices: Notice[] = [];
  const newest: DeadLetter[] = [];
  return {
    fact: (path, name, value) => {
      facts[path] = { ...facts[path], [name]: value };
    },
    notice: (notice) => {
      notices.push(notice);
      if (notices.length > NOTICES_MAX) notices.shift();
    },
    letter: (letter) => {
      newest.push(letter);
      if (newest.length > LETTERS_MAX) newest.shift();
    },
    facts: () => ({ ...facts }),
    notices: () => [...notices],
    letters: () => [...newest],
  };
};
