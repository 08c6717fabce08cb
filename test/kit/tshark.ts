/** tshark as an independent reader of captures: https://www.wireshark.org/docs/man-pages/tshark.html */
import { spawnSync } from 'node:child_process';
import { hasPrograms } from './programs.ts';

/** False where it is not installed: `test.skipIf(!hasTshark)('... (needs tshark)', ...)`. */
export const hasTshark = hasPrograms('tshark');

const OUTPUT_BYTES_MAX = 256 << 20;
const TIMEOUT_MS = 60_000;

// Datagrams as they are on the wire: no reassembly, no names.
const run = (file: string, args: readonly string[]): string => {
  const fixed = ['-r', file, '-n', '-o', 'ip.defragment:FALSE', '-o', 'ipv6.defragment:FALSE'];
  const { status, stdout, stderr } = spawnSync('tshark', [...fixed, ...args], {
    encoding: 'utf8',
    maxBuffer: OUTPUT_BYTES_MAX,
    timeout: TIMEOUT_MS,
  });
  if (status !== 0) throw new Error(`tshark on ${file} ended with ${status}: ${stderr}`);
  return stdout;
};

/** The first value of each field, packet by packet; '' where a packet has none. */
export const fieldsOf = <const F extends readonly string[]>(
  file: string,
  fields: F,
): readonly { readonly [K in F[number]]: string }[] => {
  const named = fields.flatMap((field) => ['-e', field]);
  const text = run(file, ['-T', 'fields', '-E', 'occurrence=f', '-E', 'separator=|', ...named]);
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => {
    const cells = line.split('|');
    return Object.fromEntries(fields.map((field, k) => [field, cells[k] ?? ''])) as {
      [K in F[number]]: string;
    };
  });
};

/** Frames in the file, `-z io,stat,0`. */
export const framesIn = (file: string): number => {
  const text = run(file, ['-q', '-z', 'io,stat,0']);
  const rows = [...text.matchAll(/<>[^|]*\|\s*(\d+)\s*\|/g)];
  return rows.reduce((sum, row) => sum + Number(row[1]), 0);
};

/** TCP and UDP conversations, `-z conv,tcp -z conv,udp`. */
export const conversationsIn = (file: string): number =>
  run(file, ['-q', '-z', 'conv,tcp', '-z', 'conv,udp']).split('<->').length - 1;
