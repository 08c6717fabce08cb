/**
 * Connections to the brokers of a cluster: who leads a partition, who coordinates a group. Nothing here retries for
 * long: callers have deadlines and come back.
 */
import './mends.ts';
import net from 'node:net';
import tls from 'node:tls';
import type { Broker } from 'kafkajs/src/broker/index.js';
import BrokerPool from 'kafkajs/src/cluster/brokerPool.js';
import buildConnections, { type SocketRequest } from 'kafkajs/src/cluster/connectionPoolBuilder.js';
import { createLogger } from 'kafkajs/src/loggers/index.js';
import { kafkaTypeOf } from './faults.ts';
import type { KafkaSettings } from './settings.ts';

export type Link = {
  /** The leader of each partition, as last heard; undefined before the first answer. */
  readonly known: (topic: string) => readonly number[] | undefined;
  /** The same, asked for where it is not known or has become doubtful. */
  readonly place: (topic: string) => Promise<readonly number[]>;
  /** What is known of a topic may be wrong: it is asked for again. */
  readonly doubt: (topic: string) => void;
  /** Draws the consequences of a failed request: leaders are asked for again, a silent broker is left. */
  readonly blame: (topic: string, error: unknown) => void;
  /** `channel` 0 for short requests, 1 for fetches: connected when the promise resolves. */
  readonly node: (nodeId: number, channel: 0 | 1) => Promise<Broker>;
  readonly any: () => Promise<Broker>;
  readonly controller: () => Promise<Broker>;
  readonly coordinator: (group: string) => Promise<Broker>;
  readonly doubtCoordinator: (group: string) => void;
  readonly close: () => Promise<void>;
};

const CONNECT_MS = 3000;
const AUTHENTICATE_MS = 5000;
const PLACE_AGE_MS = 60_000;
const KEEP_ALIVE_MS = 30_000;
const RETRY_MS = 50;

/** Sockets without Nagle's delay, and a list of them: a peer that is silent is left, not waited for. */
const socketsOf = ({ tls: given }: KafkaSettings) => {
  const open = new Set<net.Socket>();
  let closed = false;
  return {
    open,
    /** From now on there are none: what still tries fails. */
    close: () => {
      closed = true;
    },
    make: ({ host, port, onConnect }: SocketRequest): net.Socket => {
      if (closed) throw new Error('the bus is closed');
      const name = given?.servername ?? (net.isIP(host) === 0 ? host : undefined);
      const socket =
        given === undefined
          ? net.connect({ host, port }, onConnect)
          : tls.connect(
              {
                host,
                port,
                ...(name === undefined ? {} : { servername: name }),
                ...(given.ca === undefined ? {} : { ca: given.ca }),
                ...(given.cert === undefined ? {} : { cert: given.cert }),
                ...(given.key === undefined ? {} : { key: given.key }),
              },
              onConnect,
            );
      socket.setNoDelay(true);
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      return socket;
    },
  };
};

const poolOf = (settings: KafkaSettings, make: (request: SocketRequest) => net.Socket) => {
  const { brokers, clientId, tls: ssl, sasl, requestMs } = settings;
  // kafkajs logs what it also throws, and more than we want to say of a password: we speak for it.
  const logger = createLogger({ level: 0, logCreator: () => () => undefined });
  const connectionPoolBuilder = buildConnections({
    socketFactory: make,
    brokers,
    ssl: ssl !== undefined,
    sasl: sasl === undefined ? undefined : { ...sasl },
    clientId,
    connectionTimeout: CONNECT_MS,
    requestTimeout: requestMs,
    enforceRequestTimeout: true,
    maxInFlightRequests: null,
    logger,
    reauthenticationThreshold: 10_000,
  });
  return new BrokerPool({
    connectionPoolBuilder,
    logger,
    retry: { retries: brokers.length, initialRetryTime: RETRY_MS },
    allowAutoTopicCreation: false,
    authenticationTimeout: AUTHENTICATE_MS,
    metadataMaxAge: 0,
  });
};

/** One after the other: the pool's own bookkeeping is not made for two refreshes at once. */
const inTurn = () => {
  let last: Promise<unknown> = Promise.resolve();
  return <T>(work: () => Promise<T>): Promise<T> => {
    const next = last.then(work, work);
    last = next.catch(() => undefined); // the caller hears of it
    return next;
  };
};

/** A partition without a leader says so when it is asked. */
const leadersOf = (pool: BrokerPool, topic: string): readonly number[] => {
  const found = pool.metadata?.topicMetadata.find((one) => one.topic === topic);
  const leaders: number[] = [];
  for (const one of found?.partitionMetadata ?? []) leaders[one.partitionId] = one.leader;
  return leaders;
};

const MOVED =
  /^(?:UNKNOWN_TOPIC_OR_PARTITION|LEADER_NOT_AVAILABLE|NOT_LEADER_FOR_PARTITION|REPLICA_NOT_AVAILABLE|KAFKA_STORAGE_ERROR|FENCED_LEADER_EPOCH|UNKNOWN_LEADER_EPOCH|OFFSET_NOT_AVAILABLE)$/;

/** kafkajs leaves a connection open on which a request was never answered. */
const isSilence = (error: unknown): boolean =>
  error instanceof Error && error.name === 'KafkaJSRequestTimeoutError';

/** True where another broker may have become the leader, or the one that we know has gone. */
const hasMoved = (error: unknown): boolean => {
  const type = kafkaTypeOf(error);
  return type === '' || MOVED.test(type);
};

/** Who leads what, heard topic by topic: one that is missing or in trouble says nothing of the others. */
const placesOf = (pool: BrokerPool, turn: ReturnType<typeof inTurn>, now: () => number) => {
  const places = new Map<string, { leaders: readonly number[]; untilMs: number }>();
  const asking = new Map<string, Promise<readonly number[]>>();
  const ask = async (topic: string): Promise<readonly number[]> => {
    try {
      return await turn(async () => {
        await pool.refreshMetadata([topic]);
        const leaders = leadersOf(pool, topic);
        places.set(topic, { leaders, untilMs: now() + PLACE_AGE_MS });
        return leaders;
      });
    } finally {
      asking.delete(topic);
    }
  };
  return {
    known: (topic: string) => places.get(topic)?.leaders,
    place: (topic: string): Promise<readonly number[]> => {
      const known = places.get(topic);
      if (known !== undefined && now() < known.untilMs) return Promise.resolve(known.leaders);
      const question = asking.get(topic) ?? ask(topic);
      asking.set(topic, question);
      return question;
    },
    doubt: (topic: string): void => {
      const known = places.get(topic);
      if (known !== undefined) known.untilMs = 0;
    },
  };
};

export const openLink = (settings: KafkaSettings): Link => {
  const sockets = socketsOf(settings);
  const pool = poolOf(settings, sockets.make);
  const turn = inTurn();
  const { known, place, doubt } = placesOf(pool, turn, settings.now);
  const coordinators = new Map<string, number>();
  const any = (): Promise<Broker> => turn(() => pool.findConnectedBroker());
  const node = async (nodeId: number, channel: 0 | 1): Promise<Broker> => {
    const broker = await pool.findBroker({ nodeId });
    await broker.connectionPool.getConnection(channel);
    return broker;
  };
  /** Every connection ends: what is in flight rejects, the next request connects anew. */
  const reset = (reason: string): void => {
    for (const socket of sockets.open) socket.destroy(new Error(reason));
  };
  return {
    ...{ known, place, doubt, node, any },
    blame: (topic, error) => {
      if (hasMoved(error)) doubt(topic);
      if (isSilence(error)) reset('the broker does not answer');
    },
    controller: async () => {
      await turn(() => pool.refreshMetadata([]));
      return node(pool.metadata!.controllerId, 0);
    },
    coordinator: async (group) => {
      let nodeId = coordinators.get(group);
      if (nodeId === undefined) {
        const broker = await any();
        const found = await broker.findGroupCoordinator({ groupId: group, coordinatorType: 0 });
        nodeId = found.coordinator.nodeId;
        coordinators.set(group, nodeId);
      }
      return node(nodeId, 0);
    },
    doubtCoordinator: (group) => coordinators.delete(group),
    close: async () => {
      sockets.close();
      const ended = pool.disconnect().catch(() => undefined); // they end either way
      reset('closing');
      await ended;
    },
  };
};
