/** The names that are facts of the wire. A deployment may rename a topic in its bus; domains that
 * are signed never change. */
export const TOPICS = {
  anomalies: 'ai.anomalies.v1',
  evidence: 'ai.evidence.v1',
  policy: 'ai.policy.v1',
  commits: 'control.commits.v1',
  policyUpdates: 'control.policy.v1',
  reputation: 'control.reputation.v1',
  evidenceRequests: 'control.evidence.v1',
  policyAcks: 'control.policy.ack.v1',
  dlq: 'ai.dlq.v1',
} as const;

export type TopicName = keyof typeof TOPICS;
export type Topic = (typeof TOPICS)[TopicName];

/** Kinds of messages that detection and operators send to the validators. */
export type AiKind = 'anomaly' | 'evidence' | 'policy';

export const AI_TOPICS: Readonly<Record<AiKind, Topic>> = {
  anomaly: TOPICS.anomalies,
  evidence: TOPICS.evidence,
  policy: TOPICS.policy,
};

/** First bytes of what an ai.* producer signs: singular, not the topic names. */
export const AI_DOMAINS: Readonly<Record<AiKind, string>> = {
  anomaly: 'ai.anomaly.v1',
  evidence: 'ai.evidence.v1',
  policy: 'ai.policy.v1',
};

export const CUSTODY_DOMAIN = 'ai.custody.v1';

export type ControlKind =
  | 'commit'
  | 'policy-update'
  | 'policy-ack'
  | 'reputation'
  | 'evidence-request';

/** First bytes of what a control.* producer signs: constants even where a topic is renamed. */
export const CONTROL_DOMAINS: Readonly<Record<ControlKind, Topic>> = {
  commit: TOPICS.commits,
  'policy-update': TOPICS.policyUpdates,
  'policy-ack': TOPICS.policyAcks,
  reputation: TOPICS.reputation,
  'evidence-request': TOPICS.evidenceRequests,
};

export const SIGNATURE_ALGORITHM = 'Ed25519';

/** Limits of a message on a topic. */
export const WIRE_LIMITS = {
  messageBytes: 1024 * 1024,
  payloadBytes: 512 * 1024,
  paramsBytes: 512 * 1024,
  proofBlobBytes: 256 * 1024,
  refsCount: 1000,
  custodyCount: 100,
  idBytes: 128,
  stringBytes: 256,
} as const;

/** A producer's clock may differ from the verifier's by so much, either way. */
export const TIMESTAMP_TOLERANCE_S = 300;
/** Confidence of envelope and payload may differ by so much (decimal text against double). */
export const CONFIDENCE_TOLERANCE = 1e-6;

/** Headers of a record on ai.dlq.v1; the value is the original bytes. */
export const DLQ_HEADERS = {
  code: 'error-code',
  detail: 'error-detail',
  topic: 'source-topic',
  partition: 'source-partition',
  offset: 'source-offset',
} as const;

/** W3C trace context; a header of the bus, never inside the signed bytes. */
export const TRACEPARENT_HEADER = 'traceparent';
