/** What a command is, for those of the runtime and those that an actor brings (`actors/<actor>/cli.ts`). */
import type { Result } from '#proto/result.ts';
import type { Bus } from '#runtime/bus/driver.ts';
import type { TopologyView } from '#runtime/topology/view.ts';

/** Exit codes of every command. */
export const EXIT = { ok: 0, failure: 1, usage: 2, configuration: 78 } as const;

export type CliIo = {
  /** One or more lines to standard output; a final newline is added when it is missing. */
  readonly out: (text: string) => void;
  /** The same to standard error. */
  readonly err: (text: string) => void;
  /** True after `-o json`, which is taken off the arguments before `run`: print one JSON document. */
  readonly json: boolean;
  /**
   * Reads and checks a topology file, `CYBERMESH_*` included. Its errors are printed; then the value is
   * undefined and the command returns `EXIT.configuration`. `set` holds `path=value` lines.
   */
  readonly topology: (file: string, set?: readonly string[]) => Promise<TopologyView | undefined>;
  /** The bus of a topology: Kafka by itself, an embedded one through the node that runs it. Close it after use. */
  readonly bus: OpenBus;
};

/** The error is a sentence with the remedy. */
type OpenBus = (topology: TopologyView) => Promise<Result<Bus, string>>;

export type Command = {
  /** One line for the list of commands, e.g. `make a key pair`. */
  readonly summary: string;
  /** What follows `node runtime `, then any further lines of explanation. */
  readonly usage: string;
  /** Resolves to the exit code. */
  readonly run: (args: string[], io: CliIo) => Promise<number>;
};

/** What `prepare` made or found. */
export type Prepared = {
  /** The genesis file (absolute path) and its pinned SHA-256 (hex), for every actor of the node. */
  readonly genesis?: { readonly file: string; readonly sha256: string };
};

/** The exports of `actors/<actor>/cli.ts`. */
export type CliModule = {
  readonly commands?: { readonly [name: string]: Command };
  /**
   * Called by `start` before the system starts, once for each module whose actor occurs in the topology;
   * must be idempotent. An error ends the start with its text.
   */
  readonly prepare?: (topology: TopologyView) => Promise<Result<Prepared, string>>;
  /** What stands behind `CliIo.bus`, where the actor is a bus; `say` gets a line for standard error. */
  readonly bus?: (
    topology: TopologyView,
    say: (text: string) => void,
  ) => Promise<Result<Bus, string>>;
};

/** Says what was wrong with the arguments, and how they are meant. */
export const refuse = (io: CliIo, command: Command, fault: string): number => {
  io.err(`${fault}\nUsage: node runtime ${command.usage}`);
  return EXIT.usage;
};
