/** The projector's contact with SQL. A database that is away is a message to the core, not a crash. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readGenesis } from '#native/genesis-file.ts';
import { roleBook } from '#proto/roles.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import type { PersistenceConfig } from './config.ts';
import type { Commands, Self } from './core.ts';
import { type Database, EMBEDDED_FOLDER, openDatabase } from './database.ts';
import {
  DivergedError,
  hasAcks,
  newestHeight,
  projectBlocks,
  recordAcks,
  recordGenesis,
  recordValidator,
  validatorIds,
} from './projection.ts';

const MS_PER_S = 1000;
const reasonOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

/** Opens the database. An embedded one that a crash has damaged is made anew: the chain fills it again. */
const open = async (config: PersistenceConfig, port: IoPort<Self>): Promise<Database> => {
  const { url } = port.node.database;
  const folder = join(port.dataDir, EMBEDDED_FOLDER);
  const settings = {
    url,
    folder,
    connectionsMax: config.connectionsMax,
    statementTimeoutMs: config.statementTimeoutMs,
    retriesMax: config.retriesMax,
    onError: (error: Error) =>
      port.log('warn', 'a SQL connection was lost', { reason: error.message }),
  };
  try {
    return await openDatabase(settings);
  } catch (error) {
    if (url !== 'embedded' || !existsSync(folder)) throw error;
    const reason = reasonOf(error);
    port.log('warn', 'the embedded database does not open: it is rebuilt from the chain', {
      reason,
    });
    rmSync(folder, { recursive: true, force: true });
    return await openDatabase(settings);
  }
};

export const io: Io<PersistenceConfig, Self, Commands> = (config, port) => {
  const genesis = readGenesis(port.node.genesis);
  const roles = roleBook(genesis);
  let database: Database | undefined;

  const deliver = (message: Self): void => {
    // One result a command, and commands go one at a time: a full mailbox here is a bug.
    if (!port.deliver(message)) throw new Error('persistence cannot take its own result');
  };
  /** Runs against the open database; a failure becomes a message that has the core try again. */
  const attempt = async (work: (db: Database) => Promise<Self | undefined>): Promise<void> => {
    try {
      if (database === undefined) throw new Error('not open');
      const message = await work(database);
      if (message !== undefined) deliver(message);
    } catch (error) {
      const reason = reasonOf(error);
      if (error instanceof DivergedError)
        deliver({ kind: 'diverged', height: error.height, reason });
      else deliver({ kind: 'unavailable', reason });
    }
  };

  return {
    commands: {
      open: async () => {
        try {
          // PGlite makes its cluster without yielding: seconds, and more on a busy machine.
          database ??= await port.native(() => open(config, port));
        } catch (error) {
          return deliver({ kind: 'unavailable', reason: reasonOf(error) });
        }
        await attempt(async (db) => {
          await recordGenesis(db, genesis);
          const height = await newestHeight(db);
          const validators = validatorIds(genesis);
          return { kind: 'opened', height, validators, hasAcks: await hasAcks(db) };
        });
      },
      project: (blocks) =>
        attempt(async (db) => {
          const began = performance.now();
          const height = await projectBlocks(db, blocks);
          const seconds = (performance.now() - began) / MS_PER_S;
          return { kind: 'projected', height, seconds };
        }),
      validator: async (row) => {
        try {
          await recordValidator(database!, row);
        } catch (error) {
          // The next caught-up batch writes the same rows again.
          port.log('warn', 'validator rows not written', { reason: reasonOf(error) });
        }
      },
      acks: async (records) => {
        const places = records.map(({ partition, offset }) => ({ partition, offset }));
        let refused: number;
        try {
          refused = await recordAcks(database!, records, roles);
        } catch (error) {
          port.log('warn', 'acknowledgements not written: they stay on the bus', {
            reason: reasonOf(error),
          });
          return deliver({ kind: 'acksFailed' });
        }
        deliver({ kind: 'acksSaved', places, refused });
      },
    },
    close: async () => {
      await database?.close();
    },
  };
};
