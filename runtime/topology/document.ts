/** YAML with its places: every value knows the line and column that it came from. */
import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  type Node as YamlNode,
} from 'yaml';

/** Where a value came from. A flag or a variable has no line. */
export type Place = {
  readonly origin: 'file' | 'flag' | 'env' | 'default';
  /** File as the user wrote it, `--set` or the name of the variable. */
  readonly source: string;
  /** 1-based; 0 when there is none. */
  readonly line: number;
  readonly column: number;
};

export type Entry = { readonly key: string; readonly keyAt: Place; value: Located };

/** A value of the document; entries and items may be replaced by settings. */
export type Located =
  | { readonly type: 'map'; readonly at: Place; readonly entries: Map<string, Entry> }
  | { readonly type: 'list'; readonly at: Place; readonly items: Located[] }
  | { readonly type: 'scalar'; readonly at: Place; readonly value: unknown };

export type Problem = { readonly at: Place; readonly path: string; readonly message: string };

/** `file:line:column path: message`; a flag or a variable stands for itself. */
export const formatProblem = (problem: Problem): string => {
  const { at } = problem;
  const where = at.line > 0 ? `${at.source}:${at.line}:${at.column}` : at.source;
  return `${where} ${problem.path === '' ? '(document)' : problem.path}: ${problem.message}`;
};

/** In the order of the file; what has no line comes last. One problem a place and path: the first. */
export const sortProblems = (problems: readonly Problem[]): Problem[] => {
  const seen = new Set<string>();
  const weight = ({ at }: Problem): number =>
    at.line > 0 ? at.line * 10_000 + at.column : Number.MAX_SAFE_INTEGER;
  return problems
    .filter((problem) => {
      const { at, path } = problem;
      const key = at.line > 0 ? `${at.line}:${at.column} ${path}` : formatProblem(problem);
      if (seen.has(key)) return false;
      seen.add(key);
      return true;
    })
    .sort((a, b) => weight(a) - weight(b));
};

export const scalar = (value: unknown, at: Place): Located => ({ type: 'scalar', at, value });

/** Plain data (from a flag or a variable) in which every value has the same place. */
export const locate = (value: unknown, at: Place): Located => {
  if (Array.isArray(value)) return { type: 'list', at, items: value.map((one) => locate(one, at)) };
  if (value === null || typeof value !== 'object') return scalar(value, at);
  const entries = Object.entries(value).map(([key, one]): [string, Entry] => [
    key,
    { key, keyAt: at, value: locate(one, at) },
  ]);
  return { type: 'map', at, entries: new Map(entries) };
};

/** The values without their places. */
export const plain = (node: Located | undefined): unknown => {
  if (node === undefined) return undefined;
  if (node.type === 'scalar') return node.value;
  if (node.type === 'list') return node.items.map(plain);
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, plain(entry.value)]));
};

/** The node at a path of keys and indices, or the deepest one on the way there. */
export const nearest = (node: Located, path: readonly PropertyKey[]): Located => {
  let here = node;
  for (const step of path) {
    const next =
      here.type === 'map'
        ? here.entries.get(String(step))?.value
        : here.type === 'list'
          ? here.items[Number(step)]
          : undefined;
    if (next === undefined) return here;
    here = next;
  }
  return here;
};

export const get = (node: Located | undefined, key: string): Located | undefined =>
  node?.type === 'map' ? node.entries.get(key)?.value : undefined;

/** The text of a string value; undefined for anything else. */
export const text = (node: Located | undefined): string | undefined =>
  node?.type === 'scalar' && typeof node.value === 'string' ? node.value : undefined;

export const items = (node: Located | undefined): readonly Located[] =>
  node?.type === 'list' ? node.items : [];

/** Reads YAML 1.2; syntax errors, repeated keys and unknown aliases are problems with their place. */
export const parseYaml = (
  source: string,
  content: string,
): { readonly root: Located; readonly problems: Problem[] } => {
  const lines = new LineCounter();
  const document = parseDocument(content, {
    lineCounter: lines,
    merge: false,
    prettyErrors: false,
  });
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { origin: 'file', source, line: Math.max(1, line), column: Math.max(1, col) };
  };
  const problems: Problem[] = [...document.errors, ...document.warnings].map((fault) => ({
    at: place(fault.pos[0]),
    path: '',
    message: fault.message,
  }));
  const convert = (node: YamlNode | null | undefined, fallback: Place): Located => {
    if (node === null || node === undefined) return scalar(null, fallback);
    const at = node.range ? place(node.range[0]) : fallback;
    if (isAlias(node)) {
      const target = node.resolve(document);
      return target === undefined ? scalar(null, at) : convert(target, at);
    }
    if (isScalar(node)) return scalar(node.value, at);
    if (isSeq(node)) {
      return { type: 'list', at, items: node.items.map((one) => convert(one as YamlNode, at)) };
    }
    if (!isMap(node)) return scalar(null, at);
    const entries = new Map<string, Entry>();
    for (const pair of node.items) {
      const keyNode = pair.key as YamlNode;
      const keyAt = keyNode.range ? place(keyNode.range[0]) : at;
      const key = isScalar(keyNode) ? String(keyNode.value) : String(keyNode);
      entries.set(key, { key, keyAt, value: convert(pair.value as YamlNode | null, keyAt) });
    }
    return { type: 'map', at, entries };
  };
  const start: Place = { origin: 'file', source, line: 1, column: 1 };
  return { root: convert(document.contents as YamlNode | null, start), problems };
};
