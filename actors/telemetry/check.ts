/**
 * What can be known of a source before the start: its files are there and are what the source says.
 */
import { actorsOf, type TopologyCheck } from '#runtime/topology/view.ts';
import { config } from './config.ts';
import { usableFiles } from './inspect.ts';

export const check: TopologyCheck = (topology) =>
  actorsOf(topology, 'telemetry').flatMap((actor) => {
    const { source } = config.parse(actor.config);
    if (source.kind !== 'pcap' && source.kind !== 'flows') return [];
    const usable = usableFiles(source);
    return usable.ok ? [] : [{ path: `${actor.path}.config.source.path`, message: usable.error }];
  });
