/** zod's complaints in the words of the topology: with a place, a path and what to write instead. */
import type { z } from 'zod';
import { type Located, nearest, type Place, type Problem, plain } from './document.ts';
import { bareNumber, didYouMean, formerName } from './nearest.ts';
import { constantsAt, descriptionAt, keysAt, type Shape, shapeOf } from './shape.ts';

type Issue = z.core.$ZodIssue;
type Context = { readonly node: Located; readonly path: string; readonly shape: Shape };

const joined = (path: string, steps: readonly PropertyKey[]): string =>
  [path, ...steps.map(String)].filter((step) => step !== '').join('.');

const valueAt = (node: Located, steps: readonly PropertyKey[]): unknown => {
  let here: unknown = plain(node);
  for (const step of steps) {
    if (here === null || typeof here !== 'object') return undefined;
    here = (here as { readonly [key: PropertyKey]: unknown })[step];
  }
  return here;
};

/** A value as a user wrote it, short enough for one line. */
export const shown = (value: unknown): string => {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
};

const WORDS: { readonly [type: string]: string } = {
  number: 'a number',
  int: 'a whole number',
  string: 'a text',
  boolean: 'true or false',
  object: 'a map of settings',
  array: 'a list',
  record: 'a map',
};

const keyPlace = (node: Located, steps: readonly PropertyKey[], key: string): Place => {
  const parent = nearest(node, steps);
  return (parent.type === 'map' ? parent.entries.get(key)?.keyAt : undefined) ?? parent.at;
};

/** The sentence for a key that nothing knows. */
export const unknownKey = (key: string, known: readonly string[]): string => {
  const former = formerName(key);
  return former === undefined ? `unknown key${didYouMean(key, known)}` : `unknown key: ${former}`;
};

const typeSentence = (
  issue: Issue & { code: 'invalid_type' },
  { node, shape }: Context,
): string => {
  const name = String(issue.path.at(-1) ?? '');
  const value = valueAt(node, issue.path);
  const about = descriptionAt(shape, issue.path);
  const expected = WORDS[issue.expected] ?? issue.expected;
  if (value === undefined) {
    return `is required: ${expected}${about === undefined ? '' : ` (${about})`}`;
  }
  const numeric = issue.expected === 'number' || issue.expected === 'int';
  const hint = numeric ? bareNumber(name, value) : '';
  const [unit, remedy] = hint.split('; ');
  const got = `, got ${shown(value)}`;
  return `expected ${expected}${unit ?? ''}${got}${remedy === undefined ? '' : `; ${remedy}`}`;
};

/** A did-you-mean for a value, or nothing: what is known has been listed already. */
const nearOnly = (value: unknown, known: readonly string[]): string => {
  const near = typeof value === 'string' ? didYouMean(value, known) : '';
  return near.startsWith('; did') ? near : '';
};

const unionProblems = (issue: Issue & { code: 'invalid_union' }, context: Context): Problem[] => {
  const discriminator = (issue as { readonly discriminator?: string }).discriminator;
  if (discriminator !== undefined && issue.errors.length === 0) {
    const steps = issue.path.at(-1) === discriminator ? issue.path : [...issue.path, discriminator];
    const known = constantsAt(context.shape, steps);
    const value = valueAt(context.node, steps);
    const message =
      value === undefined
        ? `is required: one of ${known.join(', ')}`
        : `expected one of ${known.join(', ')}, got ${shown(value)}${nearOnly(value, known)}`;
    return [at(context, steps, message)];
  }
  const best = [...issue.errors]
    .map((issues) => ({ issues, depth: Math.max(0, ...issues.map((one) => one.path.length)) }))
    .sort((a, b) => b.depth - a.depth || a.issues.length - b.issues.length)[0];
  if (best === undefined || best.depth === 0) {
    const about = descriptionAt(context.shape, issue.path);
    const value = shown(valueAt(context.node, issue.path));
    const known = constantsAt(context.shape, issue.path);
    const wanted = about ?? (known.length > 0 ? `one of ${known.join(', ')}` : 'another value');
    return [at(context, issue.path, `expected ${wanted}, got ${value}`)];
  }
  return best.issues.flatMap((one) =>
    problemsOf({ ...one, path: [...issue.path, ...one.path] } as Issue, context),
  );
};

const at = (context: Context, steps: readonly PropertyKey[], message: string): Problem => ({
  at: nearest(context.node, steps).at,
  path: joined(context.path, steps),
  message,
});

const problemsOf = (issue: Issue, context: Context): Problem[] => {
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => ({
        at: keyPlace(context.node, issue.path, key),
        path: joined(context.path, [...issue.path, key]),
        message: unknownKey(key, keysAt(context.shape, issue.path)),
      }));
    case 'invalid_type':
      return [at(context, issue.path, typeSentence(issue, context))];
    case 'invalid_union':
      return unionProblems(issue, context);
    case 'invalid_value': {
      const value = valueAt(context.node, issue.path);
      const known = issue.values.map(String);
      const hint = nearOnly(value, known);
      const wanted = `expected ${known.length > 1 ? 'one of ' : ''}${known.join(', ')}`;
      return [at(context, issue.path, `${wanted}, got ${shown(value)}${hint}`)];
    }
    default: {
      const about = descriptionAt(context.shape, issue.path);
      const tail = about === undefined ? '' : ` (${about})`;
      const got = `, got ${shown(valueAt(context.node, issue.path))}`;
      return [at(context, issue.path, `${issue.message}${got}${tail}`)];
    }
  }
};

/** Validates a node; `path` is its tree path. Returns the value with its defaults, or what is wrong. */
export const validate = <S extends z.ZodType>(
  schema: S,
  node: Located,
  path: string,
): { readonly value?: z.output<S>; readonly problems: Problem[] } => {
  const input = plain(node);
  const result = schema.safeParse(input === null ? {} : input);
  if (result.success) return { value: result.data, problems: [] };
  const context: Context = { node, path, shape: shapeOf(schema) };
  return { problems: result.error.issues.flatMap((issue) => problemsOf(issue, context)) };
};
