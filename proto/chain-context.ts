/** What ingest needs to know of the chain: the answer of `executor.context`. */
import { fromUtf8, utf8 } from './bytes.ts';
import type { Genesis } from './genesis.ts';
import { canonicalJson } from './json.ts';

export type ChainContext = Pick<
  Genesis,
  'chainId' | 'validators' | 'producers' | 'parameters' | 'neverBlock'
> & {
  readonly height: number;
  readonly headTimeMs: number;
};

export const encodeContext = (context: ChainContext): Uint8Array => utf8(canonicalJson(context));

/** For the bytes of our own executor: throws on anything else. */
export const decodeContext = (bytes: Uint8Array): ChainContext => {
  const text = fromUtf8(bytes);
  if (text === undefined) throw new Error('a chain context that is not UTF-8');
  return JSON.parse(text) as ChainContext;
};
