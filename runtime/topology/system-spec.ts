/** A checked topology as the specification that the system runs. */
import { poolOf } from '#runtime/pool-spec.ts';
import type { ActorSpec, ChildSpec, SupervisorSpec, SystemSpec } from '#runtime/spec.ts';
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
  shutdown: topology.sections.node.shutdown,
});
