/** The projector's contact with SQL. A database that is away is a message to the core, not a crash. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { readGenesis } from '#native/genesis-file.ts';
import { type RoleBook, roleBook } from '#proto/roles.ts';
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

type Session = {
  database: Database | undefined;
  readonly deliver: (message: Self) => void;
  readonly port: IoPort<Self>;
};

/** Runs against the open database; a failure becomes a message that has the core try again. */
const attempt = async (
  { database, deliver }: Session,
  work: (database: Database) => Promise<Self>,
): Promise<void> => {
  let message: Self;
  try {
    if (database === undefined) throw new Error('not open');
    message = await work(database);
  } catch (error) {
    const reason = reasonOf(error);
    message =
      error instanceof DivergedError
        ? { kind: 'diverged', height: error.height, reason }
        : { kind: 'unavailable', reason };
  }
  deliver(message);
};

const project = (session: Session, blocks: Uint8Array): Promise<void> =>
  attempt(session, async (database) => {
    const began = performance.now();
    const height = await projectBlocks(database, blocks);
    const seconds = (performance.now() - began) / MS_PER_S;
    return { kind: 'projected', height, seconds };
  });

const validator = async ({ database, port }: Session, row: Commands['validator']) => {
  try {
    await recordValidator(database!, row);
  } catch (error) {
    // The next caught-up batch writes the same rows again.
    port.log('warn', 'validator rows not written', { reason: reasonOf(error) });
  }
};

const saveAcks = async (
  { database, deliver, port }: Session,
  records: Commands['acks'],
  roles: RoleBook,
): Promise<void> => {
  const places = records.map(({ partition, offset }) => ({ partition, offset }));
  let refused: number;
  try {
    refused = await recordAcks(database!, records, roles);
  } catch (error) {
    const reason = reasonOf(error);
    port.log('warn', 'acknowledgements not written: they stay on the bus', { reason });
    return deliver({ kind: 'acksFailed' });
  }
  deliver({ kind: 'acksSaved', places, refused });
};

export const io: Io<PersistenceConfig, Self, Commands> = (config, port) => {
  const genesis = readGenesis(port.node.genesis);
  const roles = roleBook(genesis);
  const session: Session = {
    database: undefined,
    port,
    deliver: (message) => {
      // One result a command, and commands go one at a time: a full mailbox here is a bug.
      if (!port.deliver(message)) throw new Error('persistence cannot take its own result');
    },
  };
  const openSession = async (): Promise<void> => {
    try {
      // PGlite makes its cluster without yielding: seconds, and more on a busy machine.
      session.database ??= await port.native(() => open(config, port));
    } catch (error) {
      return session.deliver({ kind: 'unavailable', reason: reasonOf(error) });
    }
    await attempt(session, async (database) => {
      await recordGenesis(database, genesis);
      const height = await newestHeight(database);
      const validators = validatorIds(genesis);
      return { kind: 'opened', height, validators, hasAcks: await hasAcks(database) };
    });
  };
  return {
    commands: {
      open: openSession,
      project: (blocks) => project(session, blocks),
      validator: (row) => validator(session, row),
      acks: (records) => saveAcks(session, records, roles),
    },
    close: async () => {
      await session.database?.close();
    },
  };
};
