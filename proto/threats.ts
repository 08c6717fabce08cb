/**
 * The threats that an engine can name, in the order of the columns of a verdict's score matrix, and
 * the accessors of that matrix. A matrix is row-major Float32, one row a subject (flows first, then
 * windows of the batch, in their order), one column a threat; NaN = the engine abstains for that
 * subject and threat.
 */

export const THREATS = [
  'ddos',
  'dos',
  'port_scan',
  'brute_force',
  'malware_c2',
  'data_exfil',
  'anomaly',
] as const;

export type Threat = (typeof THREATS)[number];

export const THREAT_COUNT = THREATS.length;

/** Column of each threat in a score matrix. */
export const THREAT_INDEX: { readonly [T in Threat]: number } = {
  ddos: 0,
  dos: 1,
  port_scan: 2,
  brute_force: 3,
  malware_c2: 4,
  data_exfil: 5,
  anomaly: 6,
};

export const isThreat = (text: string): text is Threat =>
  (THREATS as readonly string[]).includes(text);

/** A matrix of `subjects` rows in which every engine's answer is still "abstains" (NaN). */
export const newScores = (subjects: number): Float32Array<ArrayBuffer> =>
  new Float32Array(subjects * THREAT_COUNT).fill(Number.NaN);

/** Score or confidence of one subject for one threat, 0..1, NaN = abstains. */
export const scoreAt = (matrix: Float32Array, subject: number, threat: Threat): number =>
  matrix[subject * THREAT_COUNT + THREAT_INDEX[threat]] ?? Number.NaN;

export const setScore = (
  matrix: Float32Array,
  subject: number,
  threat: Threat,
  value: number,
): void => {
  matrix[subject * THREAT_COUNT + THREAT_INDEX[threat]] = value;
};
