/** A checked topology as the specification that the system runs. */
import path from 'node:path';
import type { ChildSpec, SupervisorSpec, SystemSpec } from '#runtime/spec.ts';
import type { CheckedLine, Topology } from './load.ts';

const childOf = (checked: CheckedLine): ChildSpec => {
  if (checked.kind === 'group') return supervisorOf(checked);
  const { line, settings, config, module } = checked;
  const { actor, thread, restart, shutdownMs, mailbox, significant } = settings;
  return {
    kind: 'actor',
    name: line.name,
    actor,
    module: module.href,
    config,
    thread,
    restart,
    shutdownMs,
    mailbox,
    ...(significant ? { significant } : {}),
  };
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
  const { spares, heapMb, offHeapMb, silentMs } = topology.sections.node.threads;
  const { node, database } = topology.view;
  return {
    root: supervisorOf(topology.root),
    node: { ...node, genesis, database },
    spares,
    memoryMb: heapMb,
    offHeapMb,
    silentMs,
    codeCache: path.join(node.dataDir, 'code-cache'),
  };
};
