/** Looks at the beginning of each file of a source: is it what the source says it is? */
import path from 'node:path';
import { TextDecoder } from 'node:util';
import { err, ok, type Result } from '#proto/result.ts';
import { framing } from './capture/framing.ts';
import { append } from './capture/queue.ts';
import type { SourceConfig } from './config.ts';
import { codeOf, firstBytes, type SourceFile, sourceFiles } from './files.ts';
import { cellsOf } from './flows/cells.ts';
import { columnsOf } from './flows/columns.ts';

export type FileSource = Extract<SourceConfig, { path: string }>;

export type Usable = {
  readonly files: readonly SourceFile[];
  /** Files of a folder that are something else, and why. */
  readonly skipped: readonly string[];
};

const isCapture = (head: Uint8Array): boolean => {
  const frames = framing();
  append(frames.queue, head.subarray(0, 4));
  return frames.begins();
};

const captureFault = (head: Uint8Array): string | undefined => {
  if (isCapture(head)) return undefined;
  const begin = Buffer.from(head.subarray(0, 4)).toString('hex');
  return `is not a capture (it begins with ${begin}): give a pcap or pcapng file, plain or gzip`;
};

const tableFault = (head: Uint8Array): string | undefined => {
  const text = new TextDecoder().decode(head).replace(/^\uFEFF/, '');
  const [line = ''] = text.split(/\r?\n/, 1);
  let header: string[] = cellsOf(line);
  if (line.startsWith('{')) {
    try {
      header = Object.keys(JSON.parse(line) as object);
    } catch {
      return 'is not a table of flows: its first line is neither a CSV header nor a JSON object';
    }
  }
  const columns = columnsOf(header);
  return columns.ok ? undefined : `is not a table of flows: ${columns.error}`;
};

const faultOf = (kind: FileSource['kind'], file: SourceFile): string | undefined => {
  try {
    const head = firstBytes(file);
    if (head.length === 0) return 'is empty: it holds no record';
    return kind === 'pcap' ? captureFault(head) : tableFault(head);
  } catch (error) {
    const code = codeOf(error);
    const why = code === 'EACCES' ? 'this user may not read it' : code;
    return `cannot be read (${why})`;
  }
};

/** The files to read, or one sentence that names the path, what is wrong and what to do. */
export const usableFiles = (source: FileSource): Result<Usable, string> => {
  const found = sourceFiles(source.path);
  if (!found.ok) return found;
  const files: SourceFile[] = [];
  const skipped: string[] = [];
  for (const file of found.value) {
    const fault = faultOf(source.kind, file);
    if (fault === undefined) files.push(file);
    else skipped.push(`${file.path} ${fault}`);
  }
  if (files.length > 0) return ok({ files, skipped });
  const [first = ''] = skipped;
  if (skipped.length === 1) return err(first);
  return err(`no file in ${path.resolve(source.path)} can be read, the first one: ${first}`);
};
