/** What must not be shown: values of secret settings, passwords in URLs. */

const SECRET = /password|passphrase|secret|token|privatekey|credential|apikey/i;
const MASK = '***';

/** True for the name of a setting whose value is a secret. */
export const isSecret = (name: string): boolean => SECRET.test(name.replaceAll(/[-_]/g, ''));

const masked = (text: string): string =>
  text.replaceAll(/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s@]*@/gi, `$1:${MASK}@`);

/** The value as it may be shown; `name` is the last word of its path. Empty secrets stay empty. */
export const redact = (value: unknown, name = ''): unknown => {
  if (isSecret(name) && value !== '' && value !== null && value !== undefined) return MASK;
  if (typeof value === 'string') return masked(value);
  if (Array.isArray(value)) return value.map((one) => redact(one));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, redact(one, key)]));
};
