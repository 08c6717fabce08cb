/** How the source of the settings is read. What only one kind of source needs is loaded for it alone. */
import { unreachable } from '#proto/result.ts';
import type { IoPort } from '#runtime/actor.ts';
import type { TelemetryConfig } from './config.ts';
import type { Self } from './core.ts';
import { isPacked, type SourceFile } from './files.ts';
import type { LabelTable } from './flows/reader.ts';
import type { FileSource } from './inspect.ts';
import type { Position } from './position.ts';
import { fileReading, noReading, type Reading, syntheticReading } from './reading.ts';

/** Begins to read at a position that is not yet the end. */
type Opener = (at: Position) => Reading;

const fileOpener = (
  { kind }: FileSource,
  files: readonly SourceFile[],
  batchMax: number,
  port: IoPort<Self>,
): Opener => {
  const labels: LabelTable = [];
  return ({ done, epoch }) => {
    const file = files[done.length];
    if (file === undefined) return noReading();
    port.log('info', 'reading', { file: file.path, epoch });
    return fileReading(kind, file, isPacked(file), done.length, batchMax, labels, port);
  };
};

/** `files` are those of a source of files. */
export const openerOf = async (
  config: TelemetryConfig,
  files: readonly SourceFile[],
  port: IoPort<Self>,
): Promise<Opener> => {
  const { source, batchMax } = config;
  switch (source.kind) {
    case 'none':
      return noReading;
    case 'synthetic':
      return () => syntheticReading(source, config, () => port.now());
    case 'live': {
      const { liveReading } = await import('./live.ts');
      return () => liveReading(source, config, port);
    }
    case 'postgres': {
      const { tableReading } = await import('./table/reading.ts');
      const labels: LabelTable = [];
      return (at) => tableReading(source, at.table ?? { rows: 0 }, batchMax, labels, port);
    }
    case 'pcap':
    case 'flows':
      return fileOpener(source, files, batchMax, port);
    default:
      return unreachable(source);
  }
};
