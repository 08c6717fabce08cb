/**
 * Who may write: one projector of all that share a database. The row of the lease names its holder and a fencing
 * token that grows with every change of hands. Each transaction of the projector takes the row first, so a taker
 * waits for it, and one that lost the lease meanwhile fails before it has written anything.
 *
 * Time is the server's. An expired lease that nobody has taken still counts.
 */
import type { Client, Database } from './database.ts';

const NAME = 'projector';

export type Lease = { readonly holder: string; readonly fence: number };

export type Claim =
  | { readonly held: true; readonly lease: Lease }
  | { readonly held: false; readonly by: string };

/** Somebody else projects by now; nothing was written. */
export class FencedError extends Error {
  constructor(lease: Lease) {
    super(`the lease ${lease.fence} of the projector has passed to somebody else`);
    this.name = 'FencedError';
  }
}

/** Takes the lease where it is free, expired or our own from before; its fence is a new one in each case. */
const CLAIM = `INSERT INTO projector_lease (name, holder, fence, expires_at)
  VALUES ($1, $2, 1, now() + $3::INT8 * INTERVAL '1 millisecond')
  ON CONFLICT (name) DO UPDATE SET holder = excluded.holder,
    fence = projector_lease.fence + 1, expires_at = excluded.expires_at
  WHERE projector_lease.holder = excluded.holder OR projector_lease.expires_at < now()
  RETURNING fence`;

const HOLD = `UPDATE projector_lease SET expires_at = now() + $4::INT8 * INTERVAL '1 millisecond'
  WHERE name = $1 AND holder = $2 AND fence = $3`;

const RELEASE = `UPDATE projector_lease SET expires_at = now() - INTERVAL '1 millisecond'
  WHERE name = $1 AND holder = $2 AND fence = $3`;

/** `holder` names an installation: it may take its own lease over, for its earlier process is dead. */
export const claimLease = (database: Database, holder: string, leaseMs: number): Promise<Claim> =>
  database.transaction<Claim>(async (client) => {
    const { rows } = await client.query(CLAIM, [NAME, holder, leaseMs]);
    const fence = rows[0]?.fence as string | undefined;
    if (fence !== undefined) return { held: true, lease: { holder, fence: Number(fence) } };
    const held = await client.query('SELECT holder FROM projector_lease WHERE name = $1', [NAME]);
    return { held: false, by: String(held.rows[0]?.holder) };
  });

/** Within a transaction, before its writes: the row stays locked to its end. Rejects with FencedError. */
const hold = async (client: Client, lease: Lease, leaseMs: number): Promise<void> => {
  const { holder, fence } = lease;
  const { rowCount } = await client.query(HOLD, [NAME, holder, fence, leaseMs]);
  if (rowCount !== 1) throw new FencedError(lease);
};

/** Rejects with FencedError. */
export const renewLease = (database: Database, lease: Lease, leaseMs: number): Promise<void> =>
  database.transaction((client) => hold(client, lease, leaseMs));

/** For an orderly end: the next one need not wait until it expires. */
export const releaseLease = async (database: Database, lease: Lease): Promise<void> => {
  await database.query(RELEASE, [NAME, lease.holder, lease.fence]);
};

/** The same database, each of whose transactions holds and renews the lease. They reject with FencedError. */
export const fenced = (database: Database, lease: Lease, leaseMs: number): Database => ({
  ...database,
  transaction: (work, look) =>
    database.transaction(async (client) => {
      await hold(client, lease, leaseMs);
      return await work(client);
    }, look),
});
