/** Options of every command that reads a topology. */
import { err, ok, type Result } from '#proto/result.ts';

export const TOPOLOGY_OPTIONS = {
  set: { type: 'string', multiple: true },
  source: { type: 'string' },
} as const;

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
  if (match === null)
    return err(`--source takes kind:path, e.g. pcap:capture.pcap.gz, not ${options.source}`);
  const [, kind, path] = match;
  const source = { kind, ...(path === undefined ? {} : { path }) };
  return ok([...set, `${SOURCE}=${JSON.stringify(source)}`]);
};
