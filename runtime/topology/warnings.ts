/** What a topology may say and probably does not mean. `check` tells it; nothing is refused. */
import { get, type Problem } from './document.ts';
import type { CheckedLine } from './load.ts';

type Group = CheckedLine & { readonly kind: 'group' };

/** Restarts of one actor before the node stops, above which somebody should be asked. */
const RESTARTS_MAX = 120;

const nameOf = ({ line }: CheckedLine): string => (line.path === '' ? 'supervise' : line.path);

/**
 * A supervisor gives up at one crash more than it tolerates, and its own supervisor tolerates that so often, too: the levels
 * multiply.
 */
const multiplied = (group: Group, above: readonly Group[]): Problem[] => {
  const levels = [...above, group];
  const inner = group.children.flatMap((c) => (c.kind === 'group' ? multiplied(c, levels) : []));
  const factors = levels.map((level) => level.settings.intensity.restarts + 1);
  const restarts = factors.reduce((product, factor) => product * factor, 1) - 1;
  const isInnermost = group.children.some((c) => c.kind === 'actor');
  if (restarts <= RESTARTS_MAX || levels.length < 2 || !isInnermost) return inner;
  const at = get(get(group.line.settings, 'intensity'), 'restarts')?.at ?? group.line.at;
  const message =
    `intensities multiply: an actor of it that always crashes may be restarted ${restarts} times ` +
    `before the node stops (${factors.join(' x ')} crashes over ${levels.map(nameOf).join(', ')}); ` +
    'lower restarts of the inner groups';
  return [{ at, path: `${group.line.path}.intensity.restarts`, message }, ...inner];
};

/** A significant child means nothing to a supervisor that never shuts down because of one. */
const ignored = (group: Group): Problem[] =>
  group.children.flatMap((child) => {
    const inner = child.kind === 'group' ? ignored(child) : [];
    if (!child.settings.significant || group.settings.autoShutdown !== 'never') return inner;
    const at = get(child.line.settings, 'significant')?.at ?? child.line.at;
    const message = `has no effect: ${nameOf(group)} has autoShutdown: never`;
    return [{ at, path: `${child.line.path}.significant`, message }, ...inner];
  });

export const warningsOf = (root: Group): readonly Problem[] => [
  ...multiplied(root, []),
  ...ignored(root),
];
