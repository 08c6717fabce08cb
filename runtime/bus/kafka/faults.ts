/** Errors of kafkajs, TLS and the network in the words of an operator: what is wrong, what to do, whether waiting helps. */

export type Fault = {
  /** Waiting does not help: a setting, a password or a certificate has to change. */
  readonly permanent: boolean;
  readonly reason: string;
  readonly remedy: string;
};

/** A refusal of ours, with its remedy. */
export class KafkaRefusal extends Error {
  readonly fault: Fault;
  constructor(fault: Fault, cause?: unknown) {
    super(`${fault.reason}: ${fault.remedy}`, { cause });
    this.name = 'KafkaRefusal';
    this.fault = fault;
  }
}

type Clues = {
  readonly name: string;
  readonly type: string;
  readonly code: string;
  readonly broker: string;
  readonly message: string;
};

const CAUSES_MAX = 8;

/** kafkajs wraps errors in errors: the innermost that says something counts. */
const cluesOf = (error: unknown): Clues => {
  let clues: Clues = { name: '', type: '', code: '', broker: 'the broker', message: '' };
  let here: unknown = error;
  for (let k = 0; k < CAUSES_MAX && here instanceof Error; k++) {
    const { name, message, type, code, broker, cause, errors } = here as Error & {
      readonly type?: string;
      readonly code?: string | number;
      readonly broker?: string;
      readonly errors?: readonly unknown[];
    };
    clues = {
      name,
      type: type ?? clues.type,
      code: typeof code === 'string' ? code : clues.code,
      broker: broker ?? clues.broker,
      message,
    };
    here = cause ?? errors?.[0];
  }
  return clues.message === '' ? { ...clues, message: String(error) } : clues;
};

/** The error code of Kafka's protocol, '' when it is none. */
export const kafkaTypeOf = (error: unknown): string => cluesOf(error).type;

const permanent = (reason: string, remedy: string): Fault => ({ permanent: true, reason, remedy });
const passing = (reason: string, remedy: string): Fault => ({ permanent: false, reason, remedy });

export const TOPIC_DENIED = 'TOPIC_AUTHORIZATION_FAILED';
export const GROUP_DENIED = 'GROUP_AUTHORIZATION_FAILED';

const RIGHTS: { readonly [type: string]: string } = {
  [TOPIC_DENIED]:
    'grant it READ, WRITE and DESCRIBE on each topic, and CREATE where create is given',
  [GROUP_DENIED]: 'grant it READ on each group',
  CLUSTER_AUTHORIZATION_FAILED: 'grant it WRITE on its topics, and CREATE where create is given',
};

/** Our user lacks a right; `type` is Kafka's word for it. */
export const lacking = (what: string, type: string): Fault =>
  permanent(`our user lacks a right on ${what} (${type})`, RIGHTS[type] ?? 'grant it');

const UNTRUSTED =
  /^(?:SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_VERIFY_LEAF_SIGNATURE|UNABLE_TO_GET_ISSUER_CERT(?:_LOCALLY)?|CERT_SIGNATURE_FAILURE|CERT_UNTRUSTED)$/;

/** What the other side says of our certificate, as OpenSSL names its alerts. */
const NOT_OURS =
  /^ERR_SSL_.*ALERT_(?:BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_\w+|UNKNOWN_CA)$/;

const ofNetwork = ({ code, broker, message }: Clues): Fault | undefined => {
  if (UNTRUSTED.test(code)) {
    return permanent(
      `the certificate of ${broker} is not signed by an authority that we trust (${code})`,
      'give the certificate of the authority that signed it as tls.ca',
    );
  }
  switch (code) {
    case 'CERT_HAS_EXPIRED':
    case 'CERT_NOT_YET_VALID':
      return permanent(
        `the certificate of ${broker} is not valid today (${code})`,
        'renew it, or correct the clock of this machine',
      );
    case 'ERR_TLS_CERT_ALTNAME_INVALID':
      return permanent(
        `the certificate of ${broker} is for another name`,
        'use a name of the certificate in brokers, or give it as tls.servername',
      );
    case 'ECONNREFUSED':
      return passing(`nothing listens at ${broker} (${code})`, 'start the broker or mend brokers');
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return passing(`the host of ${broker} has no address (${code})`, 'mend brokers or the DNS');
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
    case 'ETIMEDOUT':
      return passing(`${broker} cannot be reached (${code})`, 'look at network and firewall');
    default:
  }
  if (NOT_OURS.test(code)) {
    return permanent(
      `${broker} wants another certificate of us, or any at all (${code})`,
      'give tls.cert and tls.key, signed by an authority that it trusts',
    );
  }
  if (/^(?:ERR_SSL_|EPROTO)/.test(code)) {
    return permanent(
      `no TLS with ${broker} (${code})`,
      'use the port of its TLS listener, or leave out tls',
    );
  }
  if (/timed? ?out|does not answer/i.test(message)) {
    return passing(`${broker} does not answer`, 'look at the broker, network and firewall');
  }
  if (/clos(?:ed|ing)|ECONNRESET|EPIPE|Not connected|hang up/i.test(`${message} ${code}`)) {
    return passing(
      `${broker} closed the connection`,
      'wait for its restart; if it lasts, give tls and sasl as its listener wants them',
    );
  }
  return undefined;
};

const ofProtocol = ({ type, message }: Clues): Fault | undefined => {
  switch (type) {
    case '':
      return undefined;
    case 'UNSUPPORTED_SASL_MECHANISM':
    case 'ILLEGAL_SASL_STATE':
      return permanent(
        `the listener does not take this kind of password (${type})`,
        'choose sasl.mechanism as the broker offers it, or the port of its SASL listener',
      );
    case 'SASL_AUTHENTICATION_FAILED':
      return permanent('the broker refuses user or password', 'mend sasl');
    case TOPIC_DENIED:
    case GROUP_DENIED:
    case 'CLUSTER_AUTHORIZATION_FAILED':
      return lacking('it', type);
    case 'INVALID_REPLICATION_FACTOR':
      return permanent(
        'fewer brokers than create.replication',
        'lower create.replication or add brokers',
      );
    case 'NOT_ENOUGH_REPLICAS':
    case 'NOT_ENOUGH_REPLICAS_AFTER_APPEND':
      return passing(
        `fewer brokers hold a partition than its min.insync.replicas asks for (${type})`,
        'bring the missing brokers back; records wait until then',
      );
    case 'LEADER_NOT_AVAILABLE':
      return passing(
        `no broker that is up leads a partition (${type})`,
        'bring the missing brokers back; records wait until then',
      );
    case 'KAFKA_STORAGE_ERROR':
      return passing(
        `a broker cannot write to its disk (${type})`,
        'look at its log: make room on the disk of log.dirs, or mend it, and start the broker again',
      );
    case 'UNKNOWN_TOPIC_OR_PARTITION':
      return passing('a topic is missing', 'make it, or give create');
    case 'UNKNOWN_MEMBER_ID':
    case 'ILLEGAL_GENERATION':
    case 'REBALANCE_IN_PROGRESS':
      return passing(
        `somebody else is a member of our consumer group (${type})`,
        'end that consumer, or choose another groupPrefix',
      );
    default:
      return passing(`${message} (${type})`, 'look at the broker');
  }
};

export const faultOf = (error: unknown): Fault => {
  if (error instanceof KafkaRefusal) return error.fault;
  const clues = cluesOf(error);
  if (/SASL/.test(clues.name) || /SASL (?:PLAIN|SCRAM)/.test(clues.message)) {
    // kafkajs gives every failure of the exchange this name, a broker that dies in the middle included.
    const closed = /clos(?:ed|ing)|timed? ?out|Not connected/i.test(clues.message);
    if (closed) return passing(`${clues.broker} closed the connection`, 'wait for its restart');
    return /not supported by the server/.test(clues.message)
      ? permanent(clues.message, 'choose sasl.mechanism as the broker offers it')
      : permanent(
          'the broker refuses user or password',
          'mend sasl.username, sasl.mechanism and the password file or variable',
        );
  }
  if (/ServerDoesNotSupportApiKey/.test(clues.name) || clues.type === 'UNSUPPORTED_VERSION') {
    return permanent(`the broker is of another age (${clues.message})`, 'use Kafka 3.9 or 4.x');
  }
  return (
    ofProtocol(clues) ??
    ofNetwork(clues) ??
    passing(`${clues.message}${clues.code && ` (${clues.code})`}`, 'look at the broker')
  );
};
