/** PostgreSQL (PGlite, in memory) behind a TCP port, started once for a test file: four to five seconds. */
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { PGlite } from '@electric-sql/pglite';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';
import type { DatabaseSettings } from '#actors/persistence/database.ts';

export type SqlServer = {
  readonly settings: DatabaseSettings;
  /** Removes every table. */
  readonly wipe: () => Promise<void>;
  /** Takes the port away, as a server that is restarted; `up` brings it back with its data. */
  readonly down: () => Promise<void>;
  readonly up: () => Promise<void>;
  readonly close: () => Promise<void>;
};

const freePort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });

export const sqlServer = async (): Promise<SqlServer> => {
  const db = await PGlite.create();
  const port = await freePort();
  let server: PGLiteSocketServer | undefined;
  const down = async (): Promise<void> => {
    await server?.stop();
    server = undefined;
  };
  const up = async (): Promise<void> => {
    server = new PGLiteSocketServer({ db, port, host: '127.0.0.1', maxConnections: 8 });
    await server.start();
  };
  await up();
  return {
    settings: {
      url: `postgres://postgres@127.0.0.1:${port}/postgres?sslmode=disable`,
      folder: '',
      connectionsMax: 2,
      statementTimeoutMs: 10_000,
      retriesMax: 3,
      onError: () => {},
    },
    wipe: async () => {
      await db.exec('DROP SCHEMA public CASCADE; CREATE SCHEMA public');
    },
    down,
    up,
    close: async () => {
      await down();
      await db.close();
    },
  };
};
