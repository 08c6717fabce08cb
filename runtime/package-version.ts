/** The version of this package. */
import { readFileSync } from 'node:fs';

/** As package.json says it. */
export const packageVersion = (): string => {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
};
