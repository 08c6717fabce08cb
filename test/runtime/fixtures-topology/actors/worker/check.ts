import { actorsOf, type TopologyCheck } from '#runtime/topology/view.ts';

type Config = { readonly limits: { readonly blockBytes: number; readonly poolBytes: number } };

export const check: TopologyCheck = (topology) =>
  actorsOf(topology, 'worker').flatMap(({ path, config }) => {
    const { blockBytes, poolBytes } = (config as Config).limits;
    if (blockBytes <= poolBytes) return [];
    const message = `${blockBytes} is more than the pool holds (limits.poolBytes ${poolBytes})`;
    return [{ path: `${path}.config.limits.blockBytes`, message }];
  });
