/** What enforces: told what is to be in force, asked what is. */
import type { Entry } from './registry.ts';

/** `reason` of an applied one says how ('noop', 'dry_run'); `code` of a failed one is the backend's. */
export type Applied =
  | { readonly id: string; readonly ok: true; readonly reason: string }
  | { readonly id: string; readonly ok: false; readonly code: string; readonly reason: string };

export type Backend = {
  readonly name: string;
  /** Brings policies into force, all of a batch in one transaction; one outcome each, in order. */
  apply(entries: readonly Entry[], atMs: number): Promise<readonly Applied[]>;
  /** Takes policies out of force; one that is not there is no error. */
  remove(ids: readonly string[]): Promise<void>;
  /** Ids of ours that are in force now, as the kernel (or whatever enforces) says. */
  inForce(): Promise<ReadonlySet<string>>;
  close(): Promise<void>;
};

/** Touches nothing: the same path, the same acknowledgements, and a record of what would be in force. */
export const noopBackend = (): Backend => {
  const known = new Set<string>();
  return {
    name: 'noop',
    apply: async (entries) =>
      entries.map((entry) => {
        known.add(entry.id);
        return { id: entry.id, ok: true, reason: 'noop' };
      }),
    remove: async (ids) => {
      for (const id of ids) known.delete(id);
    },
    inForce: async () => known,
    close: async () => {},
  };
};
