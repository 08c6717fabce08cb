/** Writes proto/generated from the .proto files: `npm run proto`. The output is committed, so that
 * nobody who installs needs a generator; a test compares it with a fresh run. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { main } from 'protobufjs-cli/pbjs.js';

const ROOT = import.meta.dirname;
const SOURCES = ['ai.proto', 'control.proto'];
/** Encode and decode only: the codecs of proto/wire do the rest. */
const OPTIONS = [
  ...['--target', 'static-module', '--wrap', 'esm', '--root', 'cybermesh'],
  ...['--dependency', 'protobufjs/minimal.js', '--path', ROOT],
  ...['--no-create', '--no-verify', '--no-convert', '--no-delimited', '--no-typeurl'],
  '--no-service',
];

const run = (options: readonly string[]): Promise<void> =>
  new Promise((resolve, reject) => {
    main([...OPTIONS, ...options, ...SOURCES.map((name) => join(ROOT, name))], (error) => {
      if (error === null || error === undefined) resolve();
      else reject(error);
    });
  });

export type Generated = { readonly js: string; readonly dts: string };

/** The types come from the comments, which the module itself does not need: hence two runs. */
export const generate = async (): Promise<Generated> => {
  const folder = mkdtempSync(join(tmpdir(), 'cybermesh-proto-'));
  try {
    await run(['--dts', '--out', join(folder, 'typed.js')]);
    await run(['--no-comments', '--out', join(folder, 'wire.js')]);
    return {
      js: readFileSync(join(folder, 'wire.js'), 'utf8'),
      dts: readFileSync(join(folder, 'typed.d.ts'), 'utf8'),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
};

export const GENERATED_JS = join(ROOT, 'generated', 'wire.js');
export const GENERATED_DTS = join(ROOT, 'generated', 'wire.d.ts');

if (import.meta.main) {
  const { js, dts } = await generate();
  writeFileSync(GENERATED_JS, js);
  writeFileSync(GENERATED_DTS, dts);
}
