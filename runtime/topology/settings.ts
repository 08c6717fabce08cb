/** `--set path=value` and `CYBERMESH_PATH=value`: from a name to the place in the tree that it sets. */
import { parse } from 'yaml';
import { err, ok, type Result } from '#proto/result.ts';
import { type Entry, get, type Located, locate, type Place, type Problem } from './document.ts';
import { unknownKey } from './issues.ts';
import { isOpenAt, isTextAt, keysAt, type Shape } from './shape.ts';

/** Prefix of the variables that are settings. */
export const PREFIX = 'CYBERMESH_';
/** Variables with the prefix that are no settings: CYBERMESH_DATA names a data folder for tests. */
const RESERVED: readonly string[] = ['CYBERMESH_DATA'];

export type Setting = {
  readonly segments: readonly string[];
  readonly raw: string;
  readonly at: Place;
  /** Names of variables are upper case, so they match whatever the case of a key is. */
  readonly caseless: boolean;
};

const outside = (origin: 'flag' | 'env', source: string): Place => ({
  origin,
  source,
  line: 0,
  column: 0,
});

/** `path=value` lines of `--set`; what is not of that form is a problem. */
export const flagSettings = (
  lines: readonly string[],
): { readonly settings: Setting[]; readonly problems: Problem[] } => {
  const settings: Setting[] = [];
  const problems: Problem[] = [];
  for (const line of lines) {
    const equals = line.indexOf('=');
    const at = outside('flag', '--set');
    if (equals < 1) {
      const message = 'expected path=value, e.g. --set node.logLevel=debug';
      problems.push({ at, path: line, message });
      continue;
    }
    const segments = line.slice(0, equals).split('.');
    settings.push({ segments, raw: line.slice(equals + 1), at, caseless: false });
  }
  return { settings, problems };
};

/** The settings among the variables, in the order of their names. */
export const environmentSettings = (env: NodeJS.ProcessEnv): Setting[] =>
  Object.keys(env)
    .filter((name) => name.startsWith(PREFIX) && !RESERVED.includes(name))
    .sort()
    .map((name) => ({
      segments: name.slice(PREFIX.length).split('__'),
      raw: env[name] ?? '',
      at: outside('env', name),
      caseless: true,
    }));

const squash = (name: string): string => name.toLowerCase().replaceAll(/[-_]/g, '');

/** The known name that a segment stands for. */
export const matching = (
  segment: string,
  known: readonly string[],
  caseless: boolean,
): string | undefined =>
  known.find((name) => name === segment) ??
  (caseless ? known.find((name) => squash(name) === squash(segment)) : undefined);

const written = (raw: string, textual: boolean): unknown => {
  if (textual) return raw;
  try {
    return parse(raw) ?? (raw === '' ? '' : null);
  } catch {
    return raw;
  }
};

type Target = {
  readonly node: Located | undefined;
  readonly shape: Shape | undefined;
  readonly steps: readonly (string | number)[];
};

const keysOf = (node: Located | undefined): string[] =>
  node?.type === 'map' ? [...node.entries.keys()] : [];

const descend = (
  target: Target,
  rest: readonly string[],
  setting: Setting,
): Result<Located, string> => {
  const { node, shape, steps } = target;
  const [segment, ...further] = rest;
  if (segment === undefined) {
    const textual = shape !== undefined && isTextAt(shape, steps);
    return ok(locate(written(setting.raw, textual), setting.at));
  }
  if (node?.type === 'list') {
    const index = Number(segment);
    const item = node.items[index];
    if (item === undefined) return err(`no item ${segment} in a list of ${node.items.length}`);
    const inner = descend({ node: item, shape, steps: [...steps, index] }, further, setting);
    if (!inner.ok) return inner;
    return ok({ ...node, items: node.items.with(index, inner.value) });
  }
  const declared = shape === undefined ? [] : keysAt(shape, steps);
  const known = [...new Set([...keysOf(node), ...declared])];
  const open = shape === undefined || isOpenAt(shape, steps);
  const free = setting.caseless ? segment.toLowerCase() : segment;
  const key = matching(segment, known, setting.caseless) ?? (open ? free : undefined);
  if (key === undefined) return err(unknownKey(segment, known));
  const inner = descend({ node: get(node, key), shape, steps: [...steps, key] }, further, setting);
  if (!inner.ok) return inner;
  const entries = new Map<string, Entry>(node?.type === 'map' ? node.entries : []);
  entries.set(key, { key, keyAt: setting.at, value: inner.value });
  return ok({ type: 'map', at: node?.type === 'map' ? node.at : setting.at, entries });
};

/** The node with one setting applied; the node itself is not changed. */
export const assign = (
  node: Located | undefined,
  shape: Shape | undefined,
  rest: readonly string[],
  setting: Setting,
): Result<Located, string> => descend({ node, shape, steps: [] }, rest, setting);
