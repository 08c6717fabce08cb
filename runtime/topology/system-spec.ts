/** A checked topology as the specification that the system runs. */
import type { ChildSpec, SupervisorSpec, SystemSpec } from '#runtime/spec.ts';
import { effectiveSettings } from './effective.ts';
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

const supervisorOf = (checked: CheckedLine & { readonly kind: 'group' }): SupervisorSpec => ({
  kind: 'supervisor',
  name: checked.line.name === '' ? 'root' : checked.line.name,
  strategy: checked.settings.strategy,
  intensity: checked.settings.intensity,
  children: checked.children.map(childOf),
});

/** `genesis` is what `prepare` made, or the file and hash of the topology. */
export const systemSpec = (
  topology: Topology,
  genesis: { readonly file: string; readonly sha256: string },
): SystemSpec => ({
  root: supervisorOf(topology.root),
  node: { ...topology.view.node, genesis, database: topology.view.database },
  trace: topology.sections.node.trace,
  otlp: topology.sections.node.otlp,
  flightMessages: topology.sections.node.flight.messages,
  settings: effectiveSettings(topology).map(({ path, value, source }) => ({ path, value, source })),
});
