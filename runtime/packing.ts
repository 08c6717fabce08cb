/**
 * What is published is JavaScript with types, for Node strips no types inside node_modules. `emit` (npm's prepack) writes
 * `x.js` beside each `x.ts` of the product, and the declarations of runtime/library.ts; `clean` (postpack) removes both.
 * Only npm's scripts call this.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../', import.meta.url));
const FOLDERS = ['proto', 'native', 'supervisors', 'runtime', 'actors'];
/** Tools of this repository. */
const NOT_SHIPPED: ReadonlySet<string> = new Set(['proto/generate.ts', 'runtime/packing.ts']);

/** The TypeScript files of the product, from the root. */
const sources = (): readonly string[] =>
  FOLDERS.flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .map((file) => path.join(folder, file))
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts') && !NOT_SHIPPED.has(file)),
  );

const inRoot = (file: string, ending: string): string =>
  path.join(ROOT, file.replace(/\.ts$/, ending));

/** Our own modules, named in imports and in `new URL`, by what is emitted for them. */
export const renamed = (code: string): string =>
  code.replace(/(['"])((?:\.{1,2}\/|#)[^'"\n]*)\.ts\1/g, '$1$2.js$1');

const emit = (): void => {
  clean();
  const files = sources();
  for (const file of files) {
    const source = readFileSync(path.join(ROOT, file), 'utf8');
    writeFileSync(inRoot(file, '.js'), renamed(stripTypeScriptTypes(source)));
  }
  const tsc = path.join(ROOT, 'node_modules', '.bin', 'tsc');
  const { status } = spawnSync(tsc, ['-p', 'tsconfig.package.json'], {
    cwd: ROOT,
    stdio: 'inherit',
  });
  if (status !== 0) throw new Error('the declarations cannot be emitted, see above');
  for (const file of files) {
    const declaration = inRoot(file, '.d.ts');
    if (existsSync(declaration)) {
      writeFileSync(declaration, renamed(readFileSync(declaration, 'utf8')));
    }
  }
};

/** Removes what `emit` has written: what stands beside a source of its name. */
const clean = (): void => {
  for (const file of sources()) {
    for (const ending of ['.js', '.d.ts']) rmSync(inRoot(file, ending), { force: true });
  }
};

const [command] = process.argv.slice(2);
if (command === 'emit') emit();
else if (command === 'clean') clean();
else throw new Error('usage: packing.ts emit | clean');
