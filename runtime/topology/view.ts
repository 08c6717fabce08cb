/** A topology as others see it: checked, with every default filled in and every name resolved. */

/** One actor of the tree. */
export type ActorView = {
  /** Tree path, e.g. `v1.replica` or `detection.engines.ml`. */
  readonly path: string;
  /** Its name in the tree, the last word of the path. */
  readonly name: string;
  /** Which actor it is: the folder under `actors/`. */
  readonly actor: string;
  /** Names of the supervisors above it, outermost first, without the root: `['detection', 'engines']`. */
  readonly branch: readonly string[];
  /** Its configuration as the actor's schema returned it. */
  readonly config: unknown;
  /** Path of the actor whose thread it lives on (its own path if it has one of its own). */
  readonly thread: string;
};

export type GenesisSection = {
  /** Keys, genesis and its pinned hash are made under dataDir at the first start. */
  readonly create: boolean;
  /** Absolute path of the genesis file. */
  readonly file: string;
  /** Pinned SHA-256 of the file's configuration hash, hex; '' when it is to be read from beside the file. */
  readonly sha256: string;
};

export type TopologyView = {
  /** Absolute path of the topology file. */
  readonly file: string;
  /** Name of the node and the absolute path of its data folder. */
  readonly node: { readonly name: string; readonly dataDir: string };
  readonly genesis: GenesisSection;
  readonly database: { readonly url: string };
  /** Sections whose keys belong to an actor (`bus`, `api`), as the file gives them. */
  readonly sections: { readonly [name: string]: unknown };
  readonly actors: readonly ActorView[];
};

/** What a cross-check of an actor found: the tree path of the setting at fault and a sentence. */
export type CheckMessage = { readonly path: string; readonly message: string };

/**
 * `actors/<actor>/check.ts` may export `check: TopologyCheck`. It is called once a topology in which the
 * actor occurs, after every configuration has passed its own schema.
 */
export type TopologyCheck = (topology: TopologyView) => readonly CheckMessage[];

/** Every actor of that kind, in the order of the file. */
export const actorsOf = (topology: TopologyView, actor: string): readonly ActorView[] =>
  topology.actors.filter((one) => one.actor === actor);
