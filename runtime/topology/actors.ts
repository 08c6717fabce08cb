/** Finds actors by name: their configuration schemas and their checks, without starting anything. */
import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { z } from 'zod';
import { err, ok, type Result } from '#proto/result.ts';
import { didYouMean } from './nearest.ts';
import { type Shape, shapeOf } from './shape.ts';
import type { TopologyCheck } from './view.ts';

/** `.ts` here, `.js` in what is published. */
const ENDING = import.meta.url.endsWith('.ts') ? '.ts' : '.js';

/** The folder of the actors of this package. */
export const ACTORS_ROOT = new URL('../../actors/', import.meta.url);

export type KnownActor = {
  readonly name: string;
  /** The module whose default export is the actor. */
  readonly module: URL;
  readonly schema: z.ZodType;
  readonly shape: Shape;
  readonly check?: TopologyCheck;
};

const fileOf = (root: URL, actor: string, part: string): URL =>
  new URL(`${actor}/${part}${ENDING}`, root);

/** The module `actors/<actor>/<part>.ts`, when it is there. A name that is no name leads nowhere. */
export const partOf = (root: URL, actor: string, part: string): URL | undefined => {
  if (!/^[a-z][a-z0-9-]*$/.test(actor)) return undefined;
  const file = fileOf(root, actor, part);
  return existsSync(fileURLToPath(file)) ? file : undefined;
};

/** Names of the folders under `actors/`. */
export const actorFolders = (root: URL): string[] =>
  existsSync(fileURLToPath(root)) ? readdirSync(fileURLToPath(root)).sort() : [];

/** Names of the folders that hold an actor. */
export const actorNames = (root: URL): string[] =>
  actorFolders(root).filter((name) => partOf(root, name, 'actor') !== undefined);

const isSchema = (value: unknown): value is z.ZodType =>
  typeof value === 'object' && value !== null && 'safeParse' in value;

/** Loads what the topology needs of an actor. The error is a sentence. */
export const loadActor = async (root: URL, name: string): Promise<Result<KnownActor, string>> => {
  const module = partOf(root, name, 'actor');
  if (module === undefined)
    return err(`unknown actor ${name}${didYouMean(name, actorNames(root))}`);
  try {
    const own = partOf(root, name, 'config');
    const loaded = (await import((own ?? module).href)) as {
      readonly config?: unknown;
      readonly default?: { readonly config?: unknown };
    };
    const schema = own === undefined ? loaded.default?.config : loaded.config;
    if (!isSchema(schema)) return err(`the actor ${name} exports no configuration schema`);
    const checkFile = partOf(root, name, 'check');
    const checks = checkFile && ((await import(checkFile.href)) as { check?: TopologyCheck });
    return ok({
      name,
      module,
      schema,
      shape: shapeOf(schema),
      ...(checks?.check === undefined ? {} : { check: checks.check }),
    });
  } catch (fault) {
    return err(`the actor ${name} cannot be loaded: ${(fault as Error).message}`);
  }
};
