/** The folder of public captures and labelled flows; tests that need it are skipped by name without it. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Absolute path of the data folder, there or not. */
export const dataDir = path.resolve(root, process.env.CYBERMESH_DATA ?? '../shared/data');

/** False where the data folder is absent: `test.skipIf(!hasData)('... (needs the data folder)', ...)`. */
export const hasData = existsSync(path.join(dataDir, 'pcap', 'manifest.csv'));

/** Path of a capture by its file name, with or without the endings `.pcap`, `.pcapng` and `.gz`. */
export const capture = (name: string): string => {
  const folder = path.join(dataDir, 'pcap');
  const endings = ['', '.gz', '.pcap.gz', '.pcapng.gz', '.pcap', '.pcapng'];
  const found = endings
    .map((end) => path.join(folder, name + end))
    .find((file) => existsSync(file));
  if (found === undefined) throw new Error(`no capture ${name} in ${folder}`);
  return found;
};

/** Path of a table of labelled flows by day: `mon`, `tue`, `wed`, `thu`. */
export const flows = (day: 'mon' | 'tue' | 'wed' | 'thu'): string =>
  path.join(dataDir, 'flows', `cicids2017_improved_${day}.csv.gz`);
