/** What actors bring to the command line, found by the name of their folder. */
import { err, ok, type Result } from '#proto/result.ts';
import { ACTORS_ROOT, actorFolders, partOf } from '#runtime/topology/actors.ts';
import type { CliModule } from './command.ts';

/** The modules `actors/<actor>/cli.ts`, by actor; a module that cannot be loaded is an error by name. */
export const domainModules = async (
  root: URL = ACTORS_ROOT,
  only: (actor: string) => boolean = () => true,
): Promise<readonly (readonly [string, Result<CliModule, string>])[]> => {
  const names = actorFolders(root).filter(only);
  const load = async (name: string): Promise<Result<CliModule, string> | undefined> => {
    const file = partOf(root, name, 'cli');
    if (file === undefined) return undefined;
    try {
      return ok((await import(file.href)) as CliModule);
    } catch (fault) {
      return err(`the commands of ${name} cannot be loaded: ${(fault as Error).message}`);
    }
  };
  const loaded: (readonly [string, Result<CliModule, string>])[] = [];
  // One after the other, as the threads do (residence.ts says why).
  for (const name of names) {
    const module = await load(name);
    if (module !== undefined) loaded.push([name, module]);
  }
  return loaded;
};
