/** Checks that concern several lines at once. */
import type { Result } from '#proto/result.ts';
import type { KnownActor } from './actors.ts';
import { get, type Located, nearest, type Problem, plain, text } from './document.ts';
import { didYouMean } from './nearest.ts';
import { SECTION_NAMES, THREADS_MAX } from './schema.ts';
import { type Line, linesOf } from './tree.ts';
import type { TopologyView } from './view.ts';

const threadOf = (line: Line): string => text(get(line.settings, 'thread')) ?? 'own';

/** A companion names an earlier sibling with a thread of its own. */
const checkThreads = (parent: Line): Problem[] => {
  const actors = parent.children.filter((line) => line.kind === 'actor');
  return actors.flatMap((line, k) => {
    const thread = threadOf(line);
    if (thread === 'own') return [];
    const at = get(line.settings, 'thread')?.at ?? line.at;
    const path = `${line.path}.thread`;
    const host = actors.findIndex((other) => other.name === thread);
    const names = actors.slice(0, k).map((other) => other.name);
    if (host < 0) {
      const hint = didYouMean(thread, ['own', ...names]);
      return [{ at, path, message: `no sibling is called ${thread}${hint}` }];
    }
    if (host >= k) {
      return [{ at, path, message: `${thread} must stand before ${line.name} in the list` }];
    }
    const shared = threadOf(actors[host]!);
    if (shared === 'own') return [];
    return [{ at, path, message: `${thread} has no thread of its own; write ${shared}` }];
  });
};

/** A permanent actor always comes back, so that its end can count for nothing (OTP refuses it, too). */
const checkSignificant = (line: Line): Problem[] => {
  const node = get(line.settings, 'significant');
  const kind = text(get(line.settings, 'restart')) ?? 'permanent';
  if (line.kind !== 'actor' || node === undefined || plain(node) !== true) return [];
  if (kind !== 'permanent') return [];
  const message = 'a permanent actor always comes back; write restart: transient or temporary';
  return [{ at: node.at, path: `${line.path}.significant`, message }];
};

/** What can be said before any configuration is known to be valid. */
export const checkLines = (tree: Line): Problem[] => {
  const lines = linesOf(tree);
  const problems = lines.filter((line) => line.kind === 'group').flatMap(checkThreads);
  problems.push(...lines.flatMap(checkSignificant));
  const own = lines.filter((line) => line.kind === 'actor' && threadOf(line) === 'own');
  const first = own[THREADS_MAX];
  if (first !== undefined) {
    const message = `${own.length} threads; a node has at most ${THREADS_MAX} (share some)`;
    problems.push({ at: first.at, path: first.path, message });
  }
  return problems;
};

/** The node that a tree path names, as deep as it exists. */
export const nodeAt = (tree: Line, document: Located, path: string): Located => {
  const segments = path.split('.');
  let line = tree;
  let used = 0;
  for (const segment of segments) {
    const next = line.children.find((child) => child.name === segment);
    if (next === undefined) break;
    line = next;
    used++;
  }
  if (used === 0 && SECTION_NAMES.includes(segments[0]!)) return nearest(document, segments);
  return nearest(line.settings, segments.slice(used));
};

/** Asks the actors' own checks (`actors/<actor>/check.ts`), each once. */
export const checkActors = (
  view: TopologyView,
  tree: Line,
  document: Located,
  actors: ReadonlyMap<string, Result<KnownActor, string>>,
): Problem[] =>
  [...actors.values()].flatMap((known) => {
    if (!known.ok || known.value.check === undefined) return [];
    return known.value
      .check(view)
      .map(({ path, message }) => ({ at: nodeAt(tree, document, path).at, path, message }));
  });
