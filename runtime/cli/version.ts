/** `version`: of CyberMesh and of the Node that runs it. */
import { readFileSync } from 'node:fs';
import { type Command, EXIT } from './command.ts';

/** The version in package.json. */
export const packageVersion = (): string => {
  const file = new URL('../../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { readonly version: string }).version;
};

export const command: Command = {
  summary: 'the versions of CyberMesh and of Node',
  usage: 'version [-o json]',
  run: async (_args, io) => {
    const version = packageVersion();
    const { node } = process.versions;
    const platform = `${process.platform}-${process.arch}`;
    if (io.json) io.out(JSON.stringify({ cybermesh: version, node, platform }));
    else io.out(`cybermesh ${version} (node ${node}, ${platform})`);
    return EXIT.ok;
  },
};
