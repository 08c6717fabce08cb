/**
 * The parts below kafkajs's public API that the driver works with, as version 2.2.4 has them (the version is pinned):
 * requests to one broker. Offsets are decimal texts, as in the library.
 */
declare module 'kafkajs/src/broker/index.js' {
  export type Partitioned<P> = {
    readonly topic: string;
    readonly partitions: readonly P[];
  };
  export type FetchedMessage = {
    readonly offset: string;
    readonly timestamp: string;
    readonly key: Uint8Array | null;
    readonly value: Uint8Array | null;
    readonly headers: {
      readonly [name: string]: Uint8Array | null | readonly (Uint8Array | null)[];
    };
    readonly isControlRecord: boolean;
  };
  export type FetchedPartition = {
    readonly partition: number;
    readonly highWatermark: string;
    readonly abortedTransactions?: readonly unknown[];
    readonly messages: readonly FetchedMessage[];
  };
  export type Placed = { readonly partition: number; readonly offset: string };
  export type TopicMetadata = {
    readonly topic: string;
    readonly partitionMetadata: readonly {
      readonly partitionId: number;
      readonly leader: number;
    }[];
  };

  /** One node. Every call rejects with a KafkaJS error; the first error code in an answer rejects all of it. */
  export type Broker = {
    readonly connectionPool: {
      readonly host: string;
      readonly port: number;
      getConnection(index?: number): Promise<unknown>;
    };
    isConnected(): boolean;
    disconnect(): Promise<void>;
    produce(request: {
      readonly topicData: readonly Partitioned<{
        readonly partition: number;
        readonly firstSequence: number;
        readonly messages: readonly {
          readonly key: Buffer;
          readonly value: Buffer;
          readonly headers: { readonly [name: string]: string };
        }[];
      }>[];
      readonly acks: number;
      readonly timeout: number;
      readonly producerId: string;
      readonly producerEpoch: number;
    }): Promise<{
      readonly topics: readonly {
        readonly partitions: readonly { readonly partition: number; readonly baseOffset: string }[];
      }[];
    }>;
    fetch(request: {
      readonly isolationLevel: 0 | 1;
      readonly maxWaitTime: number;
      readonly minBytes: number;
      readonly maxBytes: number;
      readonly topics: readonly Partitioned<{
        readonly partition: number;
        readonly fetchOffset: string;
        readonly maxBytes: number;
      }>[];
    }): Promise<{
      readonly responses: readonly {
        readonly topicName: string;
        readonly partitions: readonly FetchedPartition[];
      }[];
    }>;
    listOffsets(request: {
      readonly replicaId: number;
      readonly isolationLevel: 0 | 1;
      /** -1: the end, -2: the beginning. */
      readonly topics: readonly Partitioned<{
        readonly partition: number;
        readonly timestamp: number;
      }>[];
    }): Promise<{ readonly responses: readonly Partitioned<Placed>[] }>;
    findGroupCoordinator(request: {
      readonly groupId: string;
      readonly coordinatorType: number;
    }): Promise<{ readonly coordinator: { readonly nodeId: number } }>;
    offsetFetch(request: {
      readonly groupId: string;
      readonly topics: readonly Partitioned<{ readonly partition: number }>[];
    }): Promise<{ readonly responses: readonly Partitioned<Placed>[] }>;
    offsetCommit(request: {
      readonly groupId: string;
      readonly groupGenerationId: number;
      readonly memberId: string;
      readonly retentionTime: string;
      readonly topics: readonly Partitioned<Placed>[];
    }): Promise<unknown>;
    initProducerId(request: {
      readonly transactionalId: string | null;
      readonly transactionTimeout: number;
    }): Promise<{ readonly producerId: string; readonly producerEpoch: number }>;
    createTopics(request: {
      readonly topics: readonly {
        readonly topic: string;
        readonly numPartitions: number;
        readonly replicationFactor: number;
        readonly configEntries: readonly { readonly name: string; readonly value: string }[];
      }[];
      readonly timeout: number;
    }): Promise<unknown>;
    describeConfigs(request: {
      readonly resources: readonly {
        readonly type: number;
        readonly name: string;
        readonly configNames: readonly string[];
      }[];
    }): Promise<{
      readonly resources: readonly {
        readonly resourceName: string;
        readonly configEntries: readonly {
          readonly configName: string;
          readonly configValue: string;
        }[];
      }[];
    }>;
  };
}

declare module 'kafkajs/src/cluster/brokerPool.js' {
  import type { Broker, TopicMetadata } from 'kafkajs/src/broker/index.js';

  export default class BrokerPool {
    constructor(options: {
      readonly connectionPoolBuilder: unknown;
      readonly logger: unknown;
      readonly retry: { readonly retries: number; readonly initialRetryTime: number };
      readonly allowAutoTopicCreation: boolean;
      readonly authenticationTimeout: number;
      readonly metadataMaxAge: number;
    });
    readonly metadata: {
      readonly controllerId: number;
      readonly topicMetadata: readonly TopicMetadata[];
    } | null;
    connect(): Promise<void>;
    disconnect(): Promise<void>;
    /** Of these topics, or of all when the list is empty. */
    refreshMetadata(topics: readonly string[]): Promise<void>;
    findBroker(options: { readonly nodeId: number | string }): Promise<Broker>;
    findConnectedBroker(): Promise<Broker>;
  }
}

declare module 'kafkajs/src/cluster/connectionPoolBuilder.js' {
  import type { Socket } from 'node:net';

  export type SocketRequest = {
    readonly host: string;
    readonly port: number;
    readonly onConnect: () => void;
  };
  const build: (options: {
    readonly socketFactory: (request: SocketRequest) => Socket;
    readonly brokers: readonly string[];
    readonly ssl: boolean;
    readonly sasl:
      | { readonly mechanism: string; readonly username: string; readonly password: string }
      | undefined;
    readonly clientId: string;
    readonly connectionTimeout: number;
    readonly requestTimeout: number;
    readonly enforceRequestTimeout: boolean;
    readonly maxInFlightRequests: number | null;
    readonly logger: unknown;
    readonly reauthenticationThreshold: number;
  }) => unknown;
  export default build;
}

declare module 'kafkajs/src/loggers/index.js' {
  export const createLogger: (options: {
    readonly level: number;
    readonly logCreator: () => () => void;
  }) => unknown;
}

declare module 'kafkajs/src/consumer/filterAbortedMessages.js' {
  import type { FetchedMessage } from 'kafkajs/src/broker/index.js';

  const filterAbortedMessages: (options: {
    readonly messages: readonly FetchedMessage[];
    readonly abortedTransactions: readonly unknown[] | undefined;
  }) => readonly FetchedMessage[];
  export default filterAbortedMessages;
}

declare module 'kafkajs/src/network/requestQueue/index.js' {
  export default class RequestQueue {
    throttleCheckTimeoutId: NodeJS.Timeout | null;
    readonly throttledUntil: number;
    readonly pending: readonly unknown[];
    checkPendingRequests(): void;
    destroy(): void;
    rejectAll(error: Error): void;
    scheduleCheckPendingRequests(): void;
  }
}

declare module 'kafkajs/src/network/connection.js' {
  import type { Socket } from 'node:net';
  import type RequestQueue from 'kafkajs/src/network/requestQueue/index.js';

  export default class Connection {
    socket: Socket | undefined;
    authenticatedAt: unknown;
    connectionStatus: 'connected' | 'disconnecting' | 'disconnected';
    readonly requestQueue: RequestQueue;
    connect(): Promise<boolean>;
    disconnect(): Promise<boolean>;
  }
}
