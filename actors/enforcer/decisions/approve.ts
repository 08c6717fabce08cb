/** `decisions approve`: a person lets through what an agent of this node holds because it is beyond its caps. */
import { existsSync } from 'node:fs';
import { readArguments } from '#runtime/cli/arguments.ts';
import { type Command, EXIT, refuse } from '#runtime/cli/command.ts';
import { actorsOf, type TopologyView } from '#runtime/topology/view.ts';
import { type Approved, approve } from '../approvals.ts';
import { who } from '../keyboard.ts';
import { isHeld } from '../registry.ts';
import { stored } from './list.ts';
import { failure } from './saying.ts';

const MOST = 1000;

const OPTIONS = {
  set: { type: 'string', multiple: true },
  all: { type: 'boolean' },
  reason: { type: 'string' },
} as const;

const heldOf = (topology: TopologyView, nowMs: number): ReadonlyMap<string, Approved> => {
  const { dataDir } = topology.node;
  const held = new Map<string, Approved>();
  for (const actor of actorsOf(topology, 'enforcer')) {
    for (const entry of stored(dataDir, actor) ?? []) {
      const { id, expiresMs: untilMs, reason } = entry;
      if (isHeld(entry, nowMs)) held.set(id, { id, untilMs, held: reason });
    }
  }
  return held;
};

export const approval: Command = {
  summary: 'let through what an agent of this node holds',
  usage: `decisions approve <topology> <policy id>... | --all [--reason text] [-o json]

An agent holds what is committed but beyond its own caps (too-many-active, too-many-a-minute, too-many-peers) or
those of its rule (too-many-in-window, too-many-of-tenant, too-many-of-region, escalation-cooldown), or asks for
approval itself; \`decisions list\` shows it as held, with the cap. Approved, it comes into force for what is
left of its time. Addresses that must never be blocked stay so. The audit log is panic.log in the data folder.
  --set path=value   set anything in the tree, as at the start of the node`,
  run: async (args, io) => {
    const parsed = readArguments(args, OPTIONS, ['the topology file'], MOST);
    if (!parsed.ok) return refuse(io, approval, parsed.error);
    const { options, positionals } = parsed.value;
    const [file, ...ids] = positionals;
    if (ids.length === 0 && options.all !== true) {
      return refuse(io, approval, 'say which: policy ids, or --all');
    }
    const topology = await io.topology(file!, options.set);
    if (topology === undefined) return EXIT.configuration;
    const { dataDir } = topology.node;
    if (!existsSync(dataDir)) return failure(io, `there is no data folder ${dataDir}`);
    const nowMs = Date.now();
    const held = heldOf(topology, nowMs);
    const missing = ids.find((id) => !held.has(id));
    if (missing !== undefined) return failure(io, `no agent of this node holds ${missing}`);
    const chosen = ids.length === 0 ? [...held.values()] : ids.map((id) => held.get(id)!);
    try {
      approve(dataDir, chosen, who(), options.reason ?? '', nowMs);
    } catch (fault) {
      return failure(io, `the approval cannot be written: ${(fault as Error).message}`);
    }
    if (io.json) io.out(JSON.stringify({ ok: true, approved: chosen.map((one) => one.id) }));
    else for (const one of chosen) io.out(`${one.id}: approved (was held: ${one.held})`);
    return EXIT.ok;
  },
};
