/** A checked topology as the specification that the system runs. */
import path from 'node:path';
import { poolOf } from '#runtime/pool-spec.ts';
import type { ActorSpec, ChildSpec, SupervisorSpec, SystemSpec } from '#runtime/spec.ts';
import { effectiveSettings } from './effective.ts';
import type { CheckedLine, Topology } from './load.ts';

const childOf = (checked: CheckedLine): ChildSpec => {
  if (checked.kind === 'group') return supervisorOf(checked);
  const { line, settings, config, module } = checked;
  const { actor, thread, restart, shutdownMs, mailbox, significant, phase } = settings;
  const { passivateMs, pool } = settings;
  const spec: ActorSpec = {
    kind: 'actor',
    name: line.name,
    actor,
    module: module.href,
    config,
    thread,
    restart,
    shutdownMs,
    mailbox,
    phase,
    ...(significant ? { significant } : {}),
    ...(passivateMs === undefined ? {} : { passivateMs }),
  };
  if (pool === undefined) return spec;
  const { by, ...shape } = pool;
  return poolOf(spec, { ...shape, ...(by === undefined ? {} : { by }) });
};

const supervisorOf = (checked: CheckedLine & { readonly kind: 'group' }): SupervisorSpec => {
  const { strategy, intensity, autoShutdown, backoff, restart, significant } = checked.settings;
  return {
    kind: 'supervisor',
    name: checked.line.name === '' ? 'root' : checked.line.name,
    strategy,
    intensity,
    autoShutdown,
    backoff,
    ...(restart === undefined ? {} : { restart }),
    ...(significant === undefined ? {} : { significant }),
    children: checked.children.map(childOf),
  };
};

/** `genesis` is what `prepare` made, or the file and hash of the topology. */
export const systemSpec = (
  topology: Topology,
  genesis: { readonly file: string; readonly sha256: string },
): SystemSpec => {
  const { threads, shutdown, trace, otlp, flight } = topology.sections.node;
  const { spares, heapMb, offHeapMb, silentMs } = threads;
  const { node, database } = topology.view;
  return {
    root: supervisorOf(topology.root),
    node: { ...node, genesis, database },
    shutdown,
    spares,
    memoryMb: heapMb,
    offHeapMb,
    silentMs,
    codeCache: path.join(node.dataDir, 'code-cache'),
    trace,
    otlp,
    flightMessages: flight.messages,
    settings: effectiveSettings(topology).map(({ path, value, source }) => ({
      path,
      value,
      source,
    })),
  };
};
