/** What only the whole topology shows: a block must fit into the mempool that it is built from. */
import { readFileSync } from 'node:fs';
import { defaultParameters, parseGenesis } from '#proto/genesis.ts';
import { actorsOf, type CheckMessage, type TopologyCheck } from '#runtime/topology/view.ts';
import { config } from './config.ts';

/** The limits of the genesis that is there, or of the one that the first start would make. */
const blockLimits = (file: string) => {
  try {
    const genesis = parseGenesis(readFileSync(file));
    return genesis.ok ? genesis.value.parameters : defaultParameters;
  } catch {
    return defaultParameters; // no file yet; that a named one is missing is for `start` to say
  }
};

export const check: TopologyCheck = (topology) => {
  const { blockTxMax, blockBytesMax } = blockLimits(topology.genesis.file);
  return actorsOf(topology, 'ingest').flatMap((actor) => {
    const settings = config.safeParse(actor.config);
    if (!settings.success) return [];
    const { poolTransactionsMax, poolBytesMax } = settings.data;
    const problems: CheckMessage[] = [];
    if (blockTxMax > poolTransactionsMax) {
      problems.push({
        path: `${actor.path}.config.poolTransactionsMax`,
        message: `a block holds up to ${blockTxMax} transactions, this mempool only ${poolTransactionsMax}`,
      });
    }
    if (blockBytesMax > poolBytesMax) {
      problems.push({
        path: `${actor.path}.config.poolBytesMax`,
        message: `a block holds up to ${blockBytesMax} bytes, this mempool only ${poolBytesMax}`,
      });
    }
    return problems;
  });
};
