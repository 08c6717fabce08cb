/** The admissions of an agent on its disk, in the order in which they came. */
import type { Store } from '#native/store.ts';
import type { Admission } from './admissions.ts';
import { MINUTE_MS, REMEMBERED_MAX } from './pace.ts';

export const ADMISSIONS_TABLE = `CREATE TABLE admissions (seq INTEGER PRIMARY KEY,
  at_ms INTEGER NOT NULL, tenant TEXT NOT NULL, region TEXT NOT NULL, target TEXT NOT NULL,
  passes_per_s REAL NOT NULL, ttl_s INTEGER NOT NULL);`;

export const admissionRows = (store: Store) => {
  const all = store.statement<[], Admission>(
    `SELECT at_ms AS atMs, tenant, region, target, passes_per_s AS passesPerS, ttl_s AS ttlS
     FROM admissions ORDER BY seq`,
  );
  const add = store.statement<[number, string, string, string, number, number]>(
    `INSERT INTO admissions (at_ms, tenant, region, target, passes_per_s, ttl_s)
     VALUES (?, ?, ?, ?, ?, ?)`,
  );
  const lapse = store.statement<[number, number]>(
    // With whatever stands before it: a clock that was ahead may have written later times there.
    `DELETE FROM admissions WHERE seq <= (
       SELECT seq FROM admissions WHERE seq <= (SELECT max(seq) FROM admissions) - ? AND at_ms <= ?
       ORDER BY seq DESC LIMIT 1)`,
  );
  return {
    all: (): readonly Admission[] => all.all(),
    /** Within a transaction. What the agent forgets goes. */
    add: (admitted: readonly Admission[]): void => {
      for (const { atMs, tenant, region, target, passesPerS, ttlS } of admitted) {
        add.run(atMs, tenant, region, target, passesPerS, ttlS);
      }
      const newest = admitted.at(-1);
      if (newest !== undefined) lapse.run(REMEMBERED_MAX, newest.atMs - MINUTE_MS);
    },
  };
};
