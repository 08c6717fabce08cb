/** The settings of the test broker. */
import path from 'node:path';
import type { KafkaPorts } from './kafka.ts';

type Place = {
  readonly ports: KafkaPorts;
  readonly folder: string;
  /** PEM: private key and certificate. */
  readonly keystore: string;
  /** PEM: certificate of the authority that clients' certificates must be of, where they need one. */
  readonly ca: string;
  readonly user: { readonly username: string; readonly password: string };
  /** Whether rights count: of a topic or group that has any, and for whoever gives a password or a certificate. */
  readonly rights: boolean;
};

const HOST = '127.0.0.1';

/** What makes a broker light. */
export const LITTLE: readonly (readonly [string, string])[] = [
  ['offsets.topic.num.partitions', '3'],
  ['group.initial.rebalance.delay.ms', '0'],
  ['log.segment.bytes', '16777216'],
  ['num.network.threads', '2'],
  ['num.io.threads', '2'],
  ['background.threads', '2'],
  ['log.cleaner.enable', 'false'],
  ['log.initial.task.delay.ms', '3600000'],
  // For so long a broker that was killed counts as alive, and the next one of its number waits. Nine seconds
  // by default.
  ['broker.session.timeout.ms', '2500'],
  ['broker.heartbeat.interval.ms', '500'],
];

const securityOf = ({ keystore, ca, user }: Place): readonly (readonly [string, string])[] => {
  const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule';
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule';
  const { username, password } = user;
  const users = `${plain} required user_${username}="${password}";`;
  return [
    ['sasl.enabled.mechanisms', 'PLAIN,SCRAM-SHA-256'],
    ...['sasl', 'sasltls'].flatMap((listener): (readonly [string, string])[] => [
      [`listener.name.${listener}.plain.sasl.jaas.config`, users],
      [`listener.name.${listener}.scram-sha-256.sasl.jaas.config`, `${scram} required;`],
    ]),
    ['ssl.keystore.type', 'PEM'],
    ['ssl.keystore.location', keystore],
    ['listener.name.mtls.ssl.client.auth', 'required'],
    ['ssl.truststore.type', 'PEM'],
    ['ssl.truststore.location', ca],
  ];
};

/** The listeners without names are the operator's. */
const RIGHTS: readonly (readonly [string, string])[] = [
  ['authorizer.class.name', 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'],
  ['super.users', 'User:ANONYMOUS'],
  ['allow.everyone.if.no.acl.found', 'true'],
];

export const propertiesOf = (place: Place): string => {
  const { ports, folder } = place;
  const clients = [
    ['PLAIN', 'PLAINTEXT', ports.plain],
    ['TLS', 'SSL', ports.tls],
    ['SASL', 'SASL_PLAINTEXT', ports.sasl],
    ['SASLTLS', 'SASL_SSL', ports.saslTls],
    ['MTLS', 'SSL', ports.mtls],
  ] as const;
  const addresses = clients.map(([name, , port]) => `${name}://${HOST}:${port}`).join(',');
  const protocols = clients.map(([name, protocol]) => `${name}:${protocol}`).join(',');
  const settings: readonly (readonly [string, string])[] = [
    ['process.roles', 'broker,controller'],
    ['node.id', '1'],
    ['controller.quorum.voters', `1@${HOST}:${ports.controller}`],
    ['controller.listener.names', 'CONTROLLER'],
    ['inter.broker.listener.name', 'PLAIN'],
    ['listeners', `${addresses},CONTROLLER://${HOST}:${ports.controller}`],
    ['advertised.listeners', addresses],
    ['listener.security.protocol.map', `${protocols},CONTROLLER:PLAINTEXT`],
    ...securityOf(place),
    ...(place.rights ? RIGHTS : []),
    ['log.dirs', path.join(folder, 'data')],
    ['num.partitions', '1'],
    ['offsets.topic.replication.factor', '1'],
    ['transaction.state.log.replication.factor', '1'],
    ['transaction.state.log.min.isr', '1'],
    ['auto.create.topics.enable', 'false'],
    ...LITTLE,
  ];
  return `${settings.map(([name, value]) => `${name}=${value}`).join('\n')}\n`;
};
