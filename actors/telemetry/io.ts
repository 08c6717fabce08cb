import path from 'node:path';
import { placeOf } from '#native/postgres.ts';
import { openStore } from '#native/store.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import type { SourceConfig, TelemetryConfig } from './config.ts';
import type { Commands, Self } from './core.ts';
import type { SourceFile } from './files.ts';
import { type FileSource, usableFiles } from './inspect.ts';
import { openerOf } from './opening.ts';
import { afterFile, afterSegment, nextPosition, type Position, parsePosition } from './position.ts';
import { noReading, type Reading, type Step } from './reading.ts';

const MIGRATIONS = ['CREATE TABLE position (id INTEGER PRIMARY KEY CHECK (id = 1), value TEXT)'];

/** The durable position: what `save` has taken survives kill -9. */
const positionStore = (dataDir: string) => {
  const store = openStore(path.join(dataDir, 'position.db'), { migrations: MIGRATIONS });
  const read = store.statement<[], { value: string }>('SELECT value FROM position WHERE id = 1');
  const write = store.statement<[string]>('INSERT OR REPLACE INTO position VALUES (1, ?)');
  return {
    load: (): Position | undefined => parsePosition(read.get()?.value),
    save: (position: Position): void => {
      write.run(JSON.stringify(position));
    },
    close: store.close,
  };
};

const isOfFiles = (source: SourceConfig): source is FileSource =>
  source.kind === 'pcap' || source.kind === 'flows';

const nameOf = (source: SourceConfig): string => {
  if (isOfFiles(source)) return `${source.kind}:${path.resolve(source.path)}`;
  if (source.kind !== 'postgres') return source.kind;
  return `postgres:${placeOf(source.url)} ${source.table} ${source.key}`;
};

/** What an epoch reads, for evidence and for those who watch: no folders, no hosts. */
const captureOf = (source: SourceConfig, file: SourceFile | undefined): string => {
  if (source.kind === 'live') return `live:${source.interface}`;
  if (source.kind === 'postgres') return `postgres:${source.table}`;
  return file === undefined ? source.kind : `${source.kind}:${file.name}`;
};

const filesOf = (source: FileSource, port: IoPort<Self>): readonly SourceFile[] => {
  const usable = usableFiles(source);
  if (!usable.ok) throw new Error(`telemetry source: ${usable.error}`);
  for (const skipped of usable.value.skipped) port.log('warn', `left out: ${skipped}`);
  return usable.value.files;
};

export const io: Io<TelemetryConfig, Self, Commands> = async (config, port) => {
  const { source } = config;
  const files = isOfFiles(source) ? filesOf(source, port) : [];
  const open = await openerOf(config, files, port);
  const store = positionStore(port.dataDir);
  const run = { pid: process.pid, startMs: port.now() - process.uptime() * 1000 };
  let position: Position | undefined;
  let reading: Reading = noReading();
  /** The newest step of this reading: at the end of a segment it says how far that went. */
  let last: Step | undefined;

  const deliver = (message: Self): void => {
    if (!port.deliver(message))
      throw new Error('the mailbox of telemetry is full of its own batches');
  };
  return {
    commands: {
      begin: () => {
        reading.close();
        position = nextPosition(store.load(), nameOf(source), files, run);
        store.save(position);
        reading = position.complete ? noReading() : open(position);
        last = undefined;
        const { epoch, complete } = position;
        const capture = captureOf(source, files[position.done.length] ?? files.at(-1));
        deliver({ kind: 'began', epoch, capture, complete });
      },
      next: async ({ epoch }) => {
        const from = reading;
        const step = await from.next();
        if (from !== reading) return;
        const { batch, fileEnd } = step;
        last = step;
        const isLast = step.end ?? (position?.done.length ?? 0) + 1 >= files.length;
        deliver({ kind: 'read', epoch, batch, fileEnd, end: fileEnd && isLast });
      },
      settle: ({ epoch }) => {
        if (position === undefined || position.epoch !== epoch) return;
        position =
          last?.mark === undefined
            ? afterFile(position, files)
            : afterSegment(position, last.mark, last.end ?? false);
        store.save(position);
        port.emit('files_settled', 1);
        deliver({ kind: 'settled', epoch, more: !position.complete });
      },
    },
    close: () => {
      reading.close();
      store.close();
    },
  };
};
