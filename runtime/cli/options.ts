/** Options of every command that reads a topology. */
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { err, ok, type Result } from '#proto/result.ts';
import { ACTORS_ROOT } from '#runtime/topology/actors.ts';
import type { LoadOptions } from '#runtime/topology/load.ts';

export const TOPOLOGY_OPTIONS = {
  set: { type: 'string', multiple: true },
  source: { type: 'string' },
  actors: { type: 'string' },
} as const;

/** What every usage text says about them. */
export const TOPOLOGY_USAGE = `  --set path=value    set anything in the tree, e.g. --set v1.replica.config.timeoutMs=2000
  --source kind:path  where traffic comes from: pcap:<file>, flows:<file>, synthetic or none
  --actors folder     load actors from another folder than actors/`;

/** Where `--source` finds the source of a node that detects. */
const SOURCE = 'detection.telemetry.config.source';

/**
 * `--set` lines, `--source kind:path` turned into the settings that it stands for. A kind without a path
 * (`synthetic`, `none`) has no colon.
 */
export const settingsOf = (options: {
  readonly set?: readonly string[];
  readonly source?: string;
}): Result<readonly string[], string> => {
  const set = options.set ?? [];
  if (options.source === undefined) return ok(set);
  const match = /^([a-z]+)(?::(.+))?$/.exec(options.source);
  if (match === null) {
    return err(`--source takes kind:path, e.g. pcap:capture.pcap.gz, not ${options.source}`);
  }
  const [, kind, file] = match;
  const source = { kind, ...(file === undefined ? {} : { path: file }) };
  return ok([...set, `${SOURCE}=${JSON.stringify(source)}`]);
};

/** How a topology is to be read by a command with these options. */
export const loadOptionsOf = (options: {
  readonly set?: readonly string[];
  readonly source?: string;
  readonly actors?: string;
}): Result<LoadOptions & { readonly actorsRoot: URL }, string> => {
  const set = settingsOf(options);
  if (!set.ok) return set;
  const actorsRoot =
    options.actors === undefined
      ? ACTORS_ROOT
      : new URL(`${pathToFileURL(path.resolve(options.actors)).href.replace(/\/$/, '')}/`);
  return ok({ set: set.value, env: process.env, actorsRoot });
};
