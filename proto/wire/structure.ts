import { utf8Bytes } from '../bytes.ts';
import { SIGNATURE_ALGORITHM, WIRE_LIMITS } from './topics.ts';

/** What is wrong with a value, as the end of a sentence about its field; undefined if nothing. */
export type Problem = string | undefined;
export type Rule<V> = (value: V) => Problem;
/** One rule for each field, so that a new field without a rule does not compile. */
export type Rules<T> = { readonly [K in keyof T]: Rule<T[K]> };

/** The first field, in declared order, that breaks its rule. */
export const firstProblem = <T extends object>(message: T, rules: Rules<T>): Problem => {
  for (const field of Object.keys(rules) as Array<keyof T & string>) {
    const problem = rules[field](message[field]);
    if (problem !== undefined) return `${field} ${problem}`;
  }
  return undefined;
};

const within =
  (minBytes: number, maxBytes: number): Rule<string> =>
  (value) => {
    const length = utf8Bytes(value);
    if (length >= minBytes && length <= maxBytes) return undefined;
    return `has ${length} bytes, not ${minBytes}..${maxBytes}`;
  };

export const anId = within(1, WIRE_LIMITS.idBytes);
export const anOptionalId = within(0, WIRE_LIMITS.idBytes);
export const aText = within(1, WIRE_LIMITS.stringBytes);
export const anOptionalText = within(0, WIRE_LIMITS.stringBytes);

export const oneOfTexts =
  (allowed: readonly string[]): Rule<string> =>
  (value) =>
    allowed.includes(value) ? undefined : `is none of ${allowed.join(', ')}`;

export const theAlgorithm = oneOfTexts([SIGNATURE_ALGORITHM]);

export const exactly =
  (length: number): Rule<Uint8Array> =>
  (value) =>
    value.length === length ? undefined : `has ${value.length} bytes, not ${length}`;

export const aHash = exactly(32);
export const aKey = exactly(32);
export const aNonce = exactly(16);
export const aSignature = exactly(64);

export const someBytes: Rule<Uint8Array> = (value) => (value.length > 0 ? undefined : 'is empty');

export const integerWithin =
  (min: number, max: number): Rule<number> =>
  (value) =>
    Number.isInteger(value) && value >= min && value <= max ? undefined : `is not ${min}..${max}`;

export const aCount = integerWithin(0, 2 ** 32 - 1);
/** Unix seconds, milliseconds or heights: whole and not negative. */
export const notNegative = integerWithin(0, Number.MAX_SAFE_INTEGER);

export const aFraction: Rule<number> = (value) =>
  value >= 0 && value <= 1 ? undefined : 'is not 0..1';

export const anything: Rule<unknown> = () => undefined;

export const each =
  <V>(rule: Rule<V>): Rule<readonly V[]> =>
  (values) => {
    for (const [index, value] of values.entries()) {
      const problem = rule(value);
      if (problem !== undefined) return `[${index}] ${problem}`;
    }
    return undefined;
  };

/** `limits` speak of amounts, where `structure` speaks of shape. */
export const atMost = (what: string, amount: number, max: number): Problem =>
  amount > max ? `${what}: ${amount} of at most ${max}` : undefined;
