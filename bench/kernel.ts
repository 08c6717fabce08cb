/**
 * All benchmarks of the runtime, one after the other, each a process of its own.
 *
 *   node runtime bench [--rounds n] [-o json]
 */
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import type { Row } from './kit/rows.ts';

const NAMES = [
  'tell',
  'event',
  'ask',
  'ring',
  'restart',
  'flood',
  'idle-system',
  'trace',
  'deaths',
];

const args = process.argv.slice(2);
const isJson = args.includes('-o');
const rows: Row[] = [];
let worst = 0;
for (const name of NAMES) {
  const file = path.join(import.meta.dirname, `${name}.ts`);
  const stdio = ['ignore', isJson ? 'pipe' : 'inherit', 'inherit'] as const;
  const ended = spawnSync(process.execPath, [file, ...args], { stdio: [...stdio] });
  worst = Math.max(worst, ended.status ?? 1);
  if (isJson && ended.stdout.length > 0) rows.push(...(JSON.parse(`${ended.stdout}`) as Row[]));
  else if (!isJson) console.log();
}
if (isJson) console.log(JSON.stringify(rows));
process.exit(worst);
