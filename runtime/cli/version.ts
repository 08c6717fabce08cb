/** `version`: of CyberMesh and of the Node that runs it. */
import { packageVersion } from '#runtime/package-version.ts';
import { type Command, EXIT } from './command.ts';

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
