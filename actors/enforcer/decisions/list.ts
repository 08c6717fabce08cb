/** `decisions list`: what the agents of this node hold, from their stores, running or not. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { readArguments } from '#runtime/cli/arguments.ts';
import { type Command, EXIT, refuse } from '#runtime/cli/command.ts';
import { type ActorView, actorsOf } from '#runtime/topology/view.ts';
import { readPanic } from '../panic.ts';
import { desired, type Entry, isHeld, type PolicyView, viewOf } from '../registry.ts';
import { entryOf } from '../store.ts';

const MS_PER_S = 1000;

/** Every policy in the store of an agent; undefined where there is none. Reads beside a running agent. */
export const stored = (dataDir: string, actor: ActorView): readonly Entry[] | undefined => {
  const file = path.join(dataDir, ...actor.path.split('.'), 'enforcer.sqlite');
  if (!existsSync(file)) return undefined;
  const db = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  try {
    const rows = db.prepare('SELECT id, body, digest FROM policies').all();
    return rows.map((row) =>
      entryOf({ id: String(row.id), body: String(row.body), digest: String(row.digest) }),
    );
  } finally {
    db.close();
  }
};

const line = (view: PolicyView, nowMs: number): string => {
  const leftS = Math.max(0, Math.round((view.expiresMs - nowMs) / MS_PER_S));
  const how = view.reason === '' ? '' : ` (${view.reason})`;
  const targets = view.targets.join(', ');
  return `${view.id}  ${view.status.padEnd(8)} ${view.action.padEnd(10)} ${targets}  ${leftS} s left${how}`;
};

const OPTIONS = {
  set: { type: 'string', multiple: true },
  all: { type: 'boolean' },
} as const;

export const list: Command = {
  summary: 'show the policies that the agents of this node hold',
  usage: `decisions list <topology> [--all] [--set path=value] [-o json]

Reads the stores of the agents, running or not. --all shows those that have ended, too.`,
  run: async (args, io) => {
    const parsed = readArguments(args, OPTIONS, ['the topology file']);
    if (!parsed.ok) return refuse(io, list, parsed.error);
    const [file] = parsed.value.positionals;
    const topology = await io.topology(file!, parsed.value.options.set);
    if (topology === undefined) return EXIT.configuration;
    const { dataDir } = topology.node;
    const nowMs = Date.now();
    const all: (PolicyView & { readonly agent: string })[] = [];
    for (const actor of actorsOf(topology, 'enforcer')) {
      const entries = stored(dataDir, actor);
      if (entries === undefined) io.err(`${actor.path} has no store in ${dataDir} yet`);
      for (const entry of entries ?? []) {
        const isOpen = desired(entry, nowMs) || isHeld(entry, nowMs);
        if (parsed.value.options.all !== true && !isOpen) continue;
        all.push({ agent: actor.path, ...viewOf(entry) });
      }
    }
    all.sort((a, b) => b.committedMs - a.committedMs || (a.id < b.id ? -1 : 1));
    const brake = readPanic(dataDir, nowMs);
    if (io.json) io.out(JSON.stringify({ panic: brake ?? null, policies: all }));
    else {
      if (brake !== undefined) io.out(`panic by ${brake.by}: nothing of this is in force`);
      for (const view of all) io.out(line(view, nowMs));
      io.out(`${all.length} policies`);
    }
    return EXIT.ok;
  },
};
