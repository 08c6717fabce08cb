/** One line of the console: its words, and what Tab may put at its end. Pure. */
import { CONSOLE_VERBS, CONSOLE_WORDS, findVerb } from './console-verbs.ts';

/** Words apart, "quoted ones" together. */
export const wordsOf = (line: string): string[] =>
  [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? '');

const OF_ACTORS: readonly string[] = ['--actor', '--from', '--to'];

/** What may stand where the last word of the line begins. */
const candidates = (
  before: readonly string[],
  last: string,
  actors: readonly string[],
): string[] => {
  const [first, ...more] = before;
  const names = CONSOLE_VERBS.map((one) => one.name);
  if (first === undefined) return [...names, ...CONSOLE_WORDS];
  if (first === 'help') return names;
  const verb = findVerb(first);
  if (verb === undefined) return [];
  if (last.startsWith('-')) return Object.keys(verb.options).map((name) => `--${name}`);
  if (OF_ACTORS.includes(more.at(-1) ?? '')) return [...actors];
  return verb.isOfActor === true && more.length === 0 ? [...actors] : [];
};

/** As node:readline wants it: what fits, and the part of the line that it completes. */
export const completions = (
  line: string,
  actors: readonly string[],
): [readonly string[], string] => {
  const last = /\S*$/.exec(line)![0];
  const before = wordsOf(line.slice(0, line.length - last.length));
  const fitting = candidates(before, last, actors).filter((one) => one.startsWith(last));
  return [fitting.map((one) => (fitting.length === 1 ? `${one} ` : one)), last];
};
