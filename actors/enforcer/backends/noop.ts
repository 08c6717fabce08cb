import { type Backend, failed, gone, NO_PACKETS } from '#actors/enforcer/backend.ts';
import { claimsOf } from '#actors/enforcer/claims.ts';
import type { Entry } from '#actors/enforcer/registry.ts';
import { ok } from '#proto/result.ts';

/** Touches nothing: the same path, the same acknowledgements, and a record of what would be in force. */
export const noopBackend = (): Backend => {
  const known = new Set<string>();
  const take = (entry: Entry) => {
    const claims = claimsOf(entry.rule);
    if (!claims.ok) return failed(entry, { code: 'not-enforceable', reason: claims.error });
    known.add(entry.id);
    return { id: entry.id, ok: true, reason: 'noop' } as const;
  };
  return {
    name: 'noop',
    probe: async () => ok(undefined),
    restore: async (entries) => {
      known.clear();
      return entries.map(take);
    },
    change: async (entries, ended) => {
      for (const id of ended) known.delete(id);
      return [...entries.map(take), ...gone(ended, 'noop')];
    },
    census: async () => ok({ ids: known, foreign: 0, packets: NO_PACKETS }),
    clear: async () => {
      known.clear();
      return ok(undefined);
    },
    close: async () => {},
  };
};
