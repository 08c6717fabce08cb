/** Checks that concern several lines at once. */
import type { Result } from '#proto/result.ts';
import { PHASE_DEFAULT } from '#runtime/spec.ts';
import type { KnownActor } from './actors.ts';
import { get, type Located, nearest, type Problem, plain, text } from './document.ts';
import { didYouMean } from './nearest.ts';
import { SECTION_NAMES, THREADS_MAX } from './schema.ts';
import { type Line, linesOf } from './tree.ts';
import type { TopologyView } from './view.ts';

const threadOf = (line: Line): string => text(get(line.settings, 'thread')) ?? 'own';

const isPool = (line: Line): boolean => get(line.settings, 'pool') !== undefined;

/** Threads that a line brings. */
const threadsOf = (line: Line): number => {
  if (line.kind !== 'actor' || threadOf(line) !== 'own') return 0;
  const pool = plain(get(line.settings, 'pool')) as
    | { size?: unknown; threads?: unknown }
    | undefined;
  return pool === undefined ? 1 : Number(pool.threads ?? pool.size) || 1;
};

/** A companion names an earlier sibling with a thread of its own. */
const checkThreads = (parent: Line): Problem[] => {
  const actors = parent.children.filter((line) => line.kind === 'actor');
  return actors.flatMap((line, k) => {
    const thread = threadOf(line);
    if (thread === 'own') return [];
    if (isPool(line)) {
      const path = `${line.path}.thread`;
      const message = 'a pool has threads of its own: leave it out, and see pool.threads';
      return [{ at: get(line.settings, 'thread')!.at, path, message }];
    }
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
    if (isPool(actors[host]!)) {
      return [{ at, path, message: `${thread} is a pool, whose threads are its own` }];
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
  let threads = 0;
  const first = lines.find((line) => {
    threads += threadsOf(line);
    return threads > THREADS_MAX;
  });
  if (first !== undefined) {
    const all = lines.reduce((n, line) => n + threadsOf(line), 0);
    const message = `${all} threads; a node has at most ${THREADS_MAX} (share some)`;
    problems.push({ at: first.at, path: first.path, message });
  }
  return [...problems, ...lines.flatMap(checkPool)];
};

/** A pool that routes by a key says which; one with more threads than members says nothing sensible. */
const checkPool = (line: Line): Problem[] => {
  const node = get(line.settings, 'pool');
  const pool = plain(node) as { [key: string]: unknown } | undefined;
  if (node === undefined || pool === undefined || typeof pool !== 'object') return [];
  const path = `${line.path}.pool`;
  const hashed = pool.route === 'consistent-hash';
  if (hashed && pool.by === undefined) {
    return [{ at: node.at, path, message: 'consistent-hash needs by, the field with the key' }];
  }
  if (!hashed && pool.by !== undefined) {
    return [{ at: node.at, path, message: 'by is for route: consistent-hash only' }];
  }
  if (Number(pool.threads ?? 1) > Number(pool.size)) {
    return [{ at: node.at, path, message: `${pool.threads} threads for ${pool.size} members` }];
  }
  return [];
};

/** Actors drain in phases that there are. */
export const checkPhases = (
  tree: Line,
  phases: readonly { readonly name: string }[],
): Problem[] => {
  const names = phases.map((phase) => phase.name);
  return linesOf(tree).flatMap((line) => {
    const node = get(line.settings, 'phase');
    const phase = text(node) ?? PHASE_DEFAULT;
    if (line.kind !== 'actor' || names.includes(phase)) return [];
    const message =
      node === undefined
        ? `node.shutdown has no phase ${phase}, the default: name one of ${names.join(', ')}`
        : `node.shutdown has no phase ${phase}${didYouMean(phase, names)}`;
    return [{ at: node?.at ?? line.at, path: `${line.path}.phase`, message }];
  });
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
