/** The projector's contact with SQL. A database that is away is a message to the core, not a crash. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DiskFullError, DiskReadOnlyError, hasRoom, isDiskReadOnly } from '#native/disk.ts';
import { readGenesis } from '#native/genesis-file.ts';
import { explainFault } from '#native/postgres.ts';
import type { Genesis } from '#proto/genesis.ts';
import { type RoleBook, roleBook } from '#proto/roles.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import type { PersistenceConfig } from './config.ts';
import type { Commands, Self } from './core.ts';
import { type Database, EMBEDDED_FOLDER, openDatabase } from './database.ts';
import { holderOf } from './holder.ts';
import { claimLease, FencedError, fenced, type Lease, releaseLease, renewLease } from './lease.ts';
import {
  checkGenesis,
  compareBlocks,
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
/** What PostgreSQL asks for at once: a segment of its write-ahead log. */
const EMBEDDED_ROOM_BYTES = 16 << 20;
/** Opens the database. An embedded one that a crash has damaged is made anew: the chain fills it again. */
const open = async (config: PersistenceConfig, port: IoPort<Self>): Promise<Database> => {
  const { url } = port.node.database;
  const folder = join(port.dataDir, EMBEDDED_FOLDER);
  const { passwordFile, connectionsMax, statementTimeoutMs, retriesMax } = config;
  const settings = {
    ...{ url, passwordFile, folder, connectionsMax, statementTimeoutMs, retriesMax },
    onError: (error: Error) =>
      port.log('warn', 'a SQL connection was lost', { reason: explainFault(error, url) }),
  };
  try {
    return await openDatabase(settings);
  } catch (error) {
    if (url !== 'embedded' || !existsSync(folder)) throw error;
    // Without room it fails in many words, and nothing is wrong with it; a new one would not fit either.
    if (!hasRoom(folder, EMBEDDED_ROOM_BYTES)) throw new DiskFullError(folder, error);
    if (isDiskReadOnly(folder)) throw new DiskReadOnlyError(folder, error);
    const reason = explainFault(error, url);
    port.log('warn', 'the embedded database does not open: it is rebuilt from the chain', {
      reason,
    });
    rmSync(folder, { recursive: true, force: true });
    return await openDatabase(settings);
  }
};

type Session = {
  database: Database | undefined;
  /** While this projector is the one that writes. */
  lease: Lease | undefined;
  /** The row of the genesis is there. */
  hasGenesis: boolean;
  /** Commands go one after the other: they would meet each other in the row of the lease. */
  turn: Promise<void>;
  /** The actor has stopped: nobody hears the result of what is still on its way. */
  closing: boolean;
  readonly config: PersistenceConfig;
  readonly genesis: Genesis;
  readonly roles: RoleBook;
  readonly holder: string;
  readonly deliver: (message: Self) => void;
  readonly port: IoPort<Self>;
};

/** What has died under an actor ends it: its next life opens the database anew, and says why it cannot. */
const mourned = ({ database, port }: Session): void => {
  if (database?.isDead() !== true) return;
  const folder = join(port.dataDir, EMBEDDED_FOLDER);
  if (isDiskReadOnly(folder)) throw new DiskReadOnlyError(folder);
  throw new Error('the embedded database has panicked; it is opened anew');
};

const inTurn = (session: Session, work: () => Promise<void>): Promise<void> => {
  const turn = session.turn.then(work).then(() => mourned(session));
  session.turn = turn.catch(() => undefined); // who gave the command hears of it
  return turn;
};

const opened = ({ database }: Session): Database => {
  if (database === undefined) throw new Error('not open');
  return database;
};

/** The database as the holder of the lease has it. Its transactions reject with FencedError. */
const writable = (session: Session): Database => {
  const { lease, config } = session;
  if (lease === undefined) throw new FencedError({ holder: session.holder, fence: 0 });
  return fenced(opened(session), lease, config.leaseMs);
};

const reasonOf = ({ port }: Session, error: unknown): string =>
  explainFault(error, port.node.database.url);

/** A failure as a message: fenced out, another block in SQL, or a database to be tried again. */
const failure = (session: Session, error: unknown): Self => {
  if (error instanceof FencedError) {
    session.lease = undefined;
    return { kind: 'fenced' };
  }
  if (error instanceof DivergedError) {
    return { kind: 'diverged', height: error.height, reason: error.message };
  }
  return { kind: 'unavailable', reason: reasonOf(session, error) };
};

const attempt = async (session: Session, work: () => Promise<Self>): Promise<void> => {
  let message: Self;
  try {
    message = await work();
  } catch (error) {
    message = failure(session, error);
  }
  session.deliver(message);
};

/** Takes the lease if it can be had. Resolves to what the holder has to know of SQL. */
const claim = async (session: Session) => {
  const { config, holder, port } = session;
  const claimed = await claimLease(opened(session), holder, config.leaseMs);
  session.lease = claimed.held ? claimed.lease : undefined;
  if (claimed.held) port.log('info', 'this projector writes', { fence: claimed.lease.fence });
  const database = opened(session);
  const height = await newestHeight(database);
  return { holds: claimed.held, height, hasAcks: await hasAcks(database) };
};

const openSession = async (session: Session): Promise<Self> => {
  const { config, port, genesis } = session;
  // PGlite makes its cluster without yielding: seconds, and more on a busy machine.
  session.database ??= await port.native(() => open(config, port));
  await checkGenesis(session.database, genesis);
  return { kind: 'opened', validators: validatorIds(genesis), ...(await claim(session)) };
};

const project = async (session: Session, blocks: Uint8Array): Promise<Self> => {
  const began = performance.now();
  const database = writable(session);
  if (!session.hasGenesis) {
    // Not before there is a block: until then the committee may refuse the genesis of this validator.
    await recordGenesis(database, session.genesis);
    session.hasGenesis = true;
  }
  const height = await projectBlocks(database, blocks);
  const seconds = (performance.now() - began) / MS_PER_S;
  return { kind: 'projected', height, seconds };
};

/** Renews a lease that is held; takes it where that is possible. */
const lease = async (session: Session): Promise<void> => {
  try {
    if (session.lease === undefined) {
      return session.deliver({ kind: 'lease', ...(await claim(session)) });
    }
    await renewLease(opened(session), session.lease, session.config.leaseMs);
    session.deliver({ kind: 'leaseKept' });
  } catch (error) {
    const message = failure(session, error);
    if (message.kind === 'diverged') return session.deliver(message);
    const lost: Self = { kind: 'lease', holds: false, height: 0, hasAcks: true };
    // A database that is away is the finding of those that have something to write.
    session.deliver(message.kind === 'fenced' ? lost : { kind: 'leaseKept' });
  }
};

const validator = async (session: Session, row: Commands['validator']): Promise<void> => {
  try {
    await recordValidator(writable(session), row);
  } catch (error) {
    // The next caught-up batch writes the same rows again.
    session.port.log('warn', 'validator rows not written', { reason: reasonOf(session, error) });
  }
};

const saveAcks = async (session: Session, records: Commands['acks']): Promise<void> => {
  const places = records.map(({ partition, offset }) => ({ partition, offset }));
  let refused: number;
  try {
    refused = await recordAcks(writable(session), records, session.roles);
  } catch (error) {
    const reason = reasonOf(session, error);
    session.port.log('warn', 'acknowledgements not written: they stay on the bus', { reason });
    return session.deliver({ kind: 'acksFailed' });
  }
  session.deliver({ kind: 'acksSaved', places, refused });
};

const close = async ({ database, lease: held, port }: Session): Promise<void> => {
  if (database === undefined) return;
  if (held !== undefined && !database.isDead()) {
    await releaseLease(database, held).catch((error: unknown) => {
      const reason = explainFault(error, port.node.database.url);
      port.log('warn', 'the lease of the projector is not given back: it expires', { reason });
    });
  }
  await database.close();
};

export const io: Io<PersistenceConfig, Self, Commands> = (config, port) => {
  const genesis = readGenesis(port.node.genesis);
  const session: Session = {
    database: undefined,
    lease: undefined,
    hasGenesis: false,
    turn: Promise.resolve(),
    closing: false,
    config,
    genesis,
    roles: roleBook(genesis),
    holder: holderOf(port.dataDir, port.node.name),
    port,
    deliver: (message) => {
      // One result a command, and commands go one at a time: a full mailbox here is a bug.
      if (port.deliver(message) || session.closing) return;
      throw new Error('persistence cannot take its own result');
    },
  };
  const tried = (work: () => Promise<Self>) => inTurn(session, () => attempt(session, work));
  return {
    commands: {
      open: () => tried(() => openSession(session)),
      lease: () => inTurn(session, () => lease(session)),
      project: (blocks) => tried(() => project(session, blocks)),
      compare: (blocks) =>
        tried(async () => ({
          kind: 'compared',
          ...(await compareBlocks(opened(session), blocks)),
        })),
      validator: (row) => inTurn(session, () => validator(session, row)),
      acks: (records) => inTurn(session, () => saveAcks(session, records)),
    },
    close: async () => {
      session.closing = true;
      await session.turn;
      await close(session);
    },
  };
};
