/**
 * Functions of a state by names that outlive the process: a report cannot hold them. `.crypto.verify` stands at that place
 * of a fresh state, `@rules.leader` among the core's constants.
 */
import type { Actor } from '../actor.ts';

export type FunctionNames = ReadonlyMap<unknown, string>;

const CONSTANT = '@';

const gather = (value: unknown, place: string, names: Map<unknown, string>, seen: Set<object>) => {
  if (typeof value === 'function') {
    if (!names.has(value)) names.set(value, place);
    return;
  }
  if (typeof value !== 'object' || value === null || seen.has(value)) return;
  if (value instanceof Map || value instanceof Set || ArrayBuffer.isView(value)) return;
  seen.add(value);
  for (const [key, one] of Object.entries(value)) gather(one, `${place}.${key}`, names, seen);
};

/** Those that a fresh state or the constants hold; closures made for one state have no name. */
export const functionNames = ({ core }: Actor, config: unknown): FunctionNames => {
  const names = new Map<unknown, string>();
  const seen = new Set<object>();
  gather(core.init(config), '', names, seen);
  for (const [name, value] of Object.entries(core.constants ?? {})) {
    gather(value, CONSTANT + name, names, seen);
  }
  return names;
};

/** What stands there: found with a fresh state of the same actor; undefined where it is no function. */
export const functionAt = ({ core }: Actor, fresh: unknown, place: string): unknown => {
  const isConstant = place.startsWith(CONSTANT);
  let at: unknown = isConstant ? core.constants : fresh;
  for (const name of place.slice(1).split('.')) {
    at = typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[name] : undefined;
  }
  return typeof at === 'function' ? at : undefined;
};
