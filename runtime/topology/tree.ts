/** The lines of the supervision tree with templates expanded; values still know their places. */
import {
  type Entry,
  get,
  items,
  type Located,
  type Place,
  type Problem,
  plain,
  scalar,
  text,
} from './document.ts';
import { didYouMean } from './nearest.ts';
import { ACTOR_SECTIONS } from './schema.ts';

/** One line. `settings` holds its keys except `children`; `config` is among them. */
export type Line = {
  readonly path: string;
  readonly name: string;
  readonly at: Place;
  readonly kind: 'actor' | 'group';
  settings: Located;
  /** What the user wrote, when it is a template: strategy and children came from there. */
  readonly children: readonly Line[];
};

type Scope = ReadonlyMap<string, Located>;
type Work = {
  readonly root: Located;
  readonly problems: Problem[];
  /** Parameters that some `$name` has asked for. */
  readonly used: Set<string>;
};

const REFERENCE = /^\$([A-Za-z][A-Za-z0-9]*)$/;
const EMPTY = (at: Place): Located => ({ type: 'map', at, entries: new Map() });

const substitute = (node: Located, scope: Scope, path: string, work: Work): Located => {
  if (node.type === 'list') {
    return {
      ...node,
      items: node.items.map((one, k) => substitute(one, scope, `${path}.${k}`, work)),
    };
  }
  if (node.type === 'map') {
    const entries = [...node.entries].map(([key, entry]): [string, Entry] => [
      key,
      { ...entry, value: substitute(entry.value, scope, `${path}.${key}`, work) },
    ]);
    return { ...node, entries: new Map(entries) };
  }
  const written = text(node);
  if (written?.startsWith('$$')) return { ...node, value: written.slice(1) };
  const name = written === undefined ? undefined : REFERENCE.exec(written)?.[1];
  if (name === undefined) return node;
  const value = scope.get(name);
  work.used.add(name);
  if (value !== undefined) return value;
  if ((ACTOR_SECTIONS as readonly string[]).includes(name)) return EMPTY(node.at);
  const known = [...scope.keys()].map((one) => `$${one}`);
  work.problems.push({
    at: node.at,
    path,
    message: `unknown reference ${written}${didYouMean(`$${name}`, known)}`,
  });
  return scalar(null, node.at);
};

const without = (node: Located, keys: readonly string[]): Located =>
  node.type === 'map'
    ? { ...node, entries: new Map([...node.entries].filter(([key]) => !keys.includes(key))) }
    : node;

const merged = (base: Located, over: Located): Located =>
  base.type === 'map' && over.type === 'map'
    ? { ...over, entries: new Map([...base.entries, ...over.entries]) }
    : over;

/** A line that uses a template: the template's settings and children, the line's own name and place. */
const expandUse = (node: Located, path: string, scope: Scope, work: Work): Line | undefined => {
  const use = get(node, 'use')!;
  const name = text(get(node, 'name')) ?? '';
  const templates = get(work.root, 'templates');
  const template = get(templates, String(plain(use)));
  if (template === undefined) {
    const known = templates?.type === 'map' ? [...templates.entries.keys()] : [];
    work.problems.push({
      at: use.at,
      path: `${path}.use`,
      message: `unknown template ${String(plain(use))}${didYouMean(String(plain(use)), known)}`,
    });
    return undefined;
  }
  const given = substitute(get(node, 'with') ?? EMPTY(node.at), scope, `${path}.with`, work);
  const defaults = get(template, 'with');
  const inner = new Map([...scope].filter(([key]) => key !== 'self'));
  for (const source of [defaults, given]) {
    if (source?.type !== 'map') continue;
    for (const [key, entry] of source.entries) inner.set(key, entry.value);
  }
  inner.set('self', scalar(name, get(node, 'name')?.at ?? node.at));
  const body = merged(without(template, ['with']), without(node, ['use', 'with']));
  const local: Work = { ...work, used: new Set() };
  const line = expandGroup(body, path, inner, local, node.at);
  for (const one of local.used) work.used.add(one);
  if (given.type === 'map') {
    for (const [key, entry] of given.entries) {
      if (local.used.has(key)) continue;
      const known = [...local.used].filter((one) => one !== 'self');
      work.problems.push({
        at: entry.keyAt,
        path: `${path}.with.${key}`,
        message: `the template ${String(plain(use))} has no $${key}${didYouMean(key, known)}`,
      });
    }
  }
  return line;
};

const expandGroup = (node: Located, path: string, scope: Scope, work: Work, at: Place): Line => ({
  path,
  name: path.split('.').at(-1) ?? '',
  at,
  kind: 'group',
  settings: substitute(without(node, ['children']), scope, path, work),
  children: expandChildren(get(node, 'children'), path, scope, work),
});

const expandLine = (node: Located, path: string, scope: Scope, work: Work): Line | undefined => {
  if (get(node, 'use') !== undefined) return expandUse(node, path, scope, work);
  if (get(node, 'children') !== undefined) return expandGroup(node, path, scope, work, node.at);
  if (get(node, 'actor') !== undefined) {
    const settings = substitute(node, scope, path, work);
    const name = path.split('.').at(-1) ?? '';
    return { path, name, at: node.at, kind: 'actor', settings, children: [] };
  }
  work.problems.push({
    at: node.at,
    path,
    message: 'a line needs one of actor, children or use',
  });
  return undefined;
};

const expandChildren = (
  list: Located | undefined,
  path: string,
  scope: Scope,
  work: Work,
): Line[] => {
  if (list !== undefined && list.type !== 'list') {
    work.problems.push({ at: list.at, path: `${path}.children`, message: 'expected a list' });
  }
  const seen = new Map<string, Place>();
  return items(list).flatMap((node, k) => {
    const nameNode = get(node, 'name');
    const name = text(nameNode);
    const here = [path, name ?? String(k)].filter((step) => step !== '').join('.');
    if (node.type !== 'map' || name === undefined) {
      const message = node.type === 'map' ? 'is required: a text' : 'expected a map of settings';
      work.problems.push({ at: node.at, path: `${here}.name`, message });
      return [];
    }
    const first = seen.get(name);
    if (first !== undefined) {
      work.problems.push({
        at: nameNode!.at,
        path: here,
        message: `a second child named ${name}; the first is in line ${first.line}`,
      });
    }
    seen.set(name, nameNode!.at);
    return expandLine(node, here, scope, work) ?? [];
  });
};

/** Expands `supervise`; its settings are those of the root supervisor. */
export const expandTree = (
  root: Located,
): { readonly tree: Line; readonly problems: Problem[] } => {
  const work: Work = { root, problems: [], used: new Set() };
  const supervise = get(root, 'supervise');
  const scope = new Map<string, Located>();
  for (const name of ['node', 'database', 'genesis', ...ACTOR_SECTIONS]) {
    const section = get(root, name);
    if (section !== undefined) scope.set(name, section);
  }
  if (supervise === undefined) {
    const message = 'is required: the supervision tree, with its children';
    work.problems.push({ at: root.at, path: 'supervise', message });
  }
  const tree = expandGroup(supervise ?? EMPTY(root.at), '', scope, work, supervise?.at ?? root.at);
  return { tree, problems: work.problems };
};

/** Every line below, the line itself first. */
export const linesOf = (line: Line): Line[] => [line, ...line.children.flatMap(linesOf)];
