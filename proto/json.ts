import { fromUtf8, utf8 } from './bytes.ts';
import { err, ok, type Result } from './result.ts';

/** Plain JSON data; what JSON.parse gives. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export type JsonObject = { readonly [key: string]: Json };

/** Deeper nesting than this is refused: no message of ours needs more than 8. */
export const JSON_DEPTH_MAX = 32;

/** Keys sorted by UTF-16 code unit (as RFC 8785 does), no whitespace, numbers as ECMAScript
 * prints them. Throws on what JSON cannot hold (NaN, undefined, functions): a bug of the caller.
 * A key whose value is undefined is left out. */
export const canonicalJson = (value: unknown): string => {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') {
    return JSON.stringify(value);
  }
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new Error(`JSON has no number for ${value}`);
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object') {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
      .map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`);
    return `{${fields.join(',')}}`;
  }
  throw new Error(`JSON has no value for a ${typeof value}`);
};

export const canonicalJsonBytes = (value: unknown): Uint8Array => utf8(canonicalJson(value));

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Bytes of a stranger to data: UTF-8, JSON, not nested deeper than JSON_DEPTH_MAX, no key twice
 * in one object (readers differ on which one counts, so a check could see another value than the
 * one that is obeyed). The error is a sentence for people. */
export const parseJson = (bytes: Uint8Array): Result<Json, string> => {
  const text = fromUtf8(bytes);
  if (text === undefined) return err('not UTF-8');
  let value: Json;
  try {
    value = JSON.parse(text) as Json;
  } catch {
    return err('not JSON');
  }
  const problem = nestingProblem(text);
  return problem === undefined ? ok(value) : err(problem);
};

export const parseJsonObject = (bytes: Uint8Array): Result<JsonObject, string> => {
  const parsed = parseJson(bytes);
  if (!parsed.ok) return parsed;
  return isJsonObject(parsed.value) ? ok(parsed.value) : err('not a JSON object');
};

/** Walks text that JSON.parse has accepted, so that only brackets and strings matter. */
const nestingProblem = (text: string): string | undefined => {
  const keys: Array<Set<string> | undefined> = [];
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '{' || char === '[') {
      if (keys.length === JSON_DEPTH_MAX) return `nested deeper than ${JSON_DEPTH_MAX}`;
      keys.push(char === '{' ? new Set() : undefined);
    } else if (char === '}' || char === ']') {
      keys.pop();
    } else if (char === '"') {
      const end = endOfString(text, at);
      const known = keys.at(-1);
      if (known !== undefined && isKey(text, end)) {
        const key = JSON.parse(text.slice(at, end)) as string;
        if (known.has(key)) return `key ${JSON.stringify(key.slice(0, 40))} stands twice`;
        known.add(key);
      }
      at = end - 1;
    }
  }
  return undefined;
};

const endOfString = (text: string, start: number): number => {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === '\\' ? 2 : 1;
  return at + 1;
};

/** In an object a string is a key exactly when a colon follows. */
const isKey = (text: string, end: number): boolean => {
  let at = end;
  while (text[at] === ' ' || text[at] === '\n' || text[at] === '\r' || text[at] === '\t') at += 1;
  return text[at] === ':';
};
