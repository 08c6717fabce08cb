/** What must not be shown: values of secret settings, passwords in URLs. */

const SECRET = /password|passphrase|secret|token|privatekey|credential|apikey/i;
export const MASK = '***';

/** True for the name of a setting whose value is a secret. */
export const isSecret = (name: string): boolean => SECRET.test(name.replaceAll(/[-_]/g, ''));

const masked = (text: string): string =>
  text.replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s@]*@/gi, `$1:${MASK}@`);

const DEPTH_MAX = 8;
const BYTES_SHOWN = 64;

/**
 * The value as it may be shown; `name` is the last word of its path. Empty secrets stay empty. An error
 * becomes its message, bytes become hexadecimal, what is nested deeper than 8 is left out.
 */
export const redact = (value: unknown, name = '', depth = 0): unknown => {
  if (depth > DEPTH_MAX) return '...';
  if (isSecret(name) && value !== '' && value !== null && value !== undefined) return MASK;
  if (typeof value === 'string') return masked(value);
  if (value instanceof Error) return masked(value.message);
  if (value instanceof Uint8Array)
    return Buffer.from(value.subarray(0, BYTES_SHOWN)).toString('hex');
  if (Array.isArray(value)) return value.map((one) => redact(one, '', depth + 1));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [key, redact(one, key, depth + 1)]),
  );
};
