/** Names by which people mean actors: a path, the end of one, a branch of the tree. Pure. */
import { closest } from '../topology/nearest.ts';

/** `a.b.c`: itself, `b.c` and `c`. */
const endsOf = (path: string): string[] => {
  const names = path.split('.');
  return names.map((_, k) => names.slice(k).join('.'));
};

/** `a.b.c`: `a` and `a.b`. */
const branchesOf = (path: string): string[] => {
  const names = path.split('.');
  return names.slice(1).map((_, k) => names.slice(0, k + 1).join('.'));
};

/** What to throw where a name means none of these paths; with the name that was probably meant. */
export const noActor = (
  name: string,
  paths: readonly string[],
  also: 'branches' | 'actors alone',
): RangeError => {
  const branches = also === 'branches' ? paths.flatMap(branchesOf) : [];
  const near = closest(name, [...new Set([...paths.flatMap(endsOf), ...branches])]);
  return new RangeError(`no actor ${name}${near === undefined ? '' : `; did you mean ${near}?`}`);
};
