/** Telemetry's io driven to the end of what there is, as the core would; every batch shown to `see`. */
import { config } from '#actors/telemetry/config.ts';
import type { Commands, Self } from '#actors/telemetry/core.ts';
import { io } from '#actors/telemetry/io.ts';
import type { IoAdapter, IoPort } from '#runtime/actor.ts';

export type ReadBatch = Extract<Self, { kind: 'read' }>;

export type TelemetryReader = {
  readonly adapter: IoAdapter<Commands>;
  readonly messages: Self[];
  readonly log: string[];
  readonly counters: { readonly [name: string]: number };
  /** Resolves at the end of the source, or when `see` says so. */
  readonly read: (see: (batch: ReadBatch) => 'on' | 'stop') => Promise<void>;
};

export const telemetryReader = async (
  dataDir: string,
  source: object,
  settled: () => void = () => undefined,
): Promise<TelemetryReader> => {
  const messages: Self[] = [];
  const log: string[] = [];
  const counters: { [name: string]: number } = {};
  const port: Partial<IoPort<Self>> = {
    deliver: (message) => messages.push(message) > 0,
    path: 'detection.telemetry',
    dataDir,
    now: Date.now,
    log: (level, text, fields) => void log.push(`${level} ${text} ${JSON.stringify(fields ?? {})}`),
    emit: (name, value) => {
      counters[name] = (counters[name] ?? 0) + value;
    },
    gauge: () => undefined,
  };
  const adapter = await io(config.parse({ source }), port as IoPort<Self>);
  const { begin, next, settle } = adapter.commands;
  const read: TelemetryReader['read'] = async (see) => {
    await begin({});
    for (;;) {
      const message = messages.shift();
      if (message === undefined) throw new Error('no message');
      if (message.kind === 'began' && message.complete) return;
      if (message.kind === 'read' && see(message) === 'stop') return;
      const epoch = 'epoch' in message ? message.epoch : 0;
      if (message.kind === 'settled') {
        settled();
        if (!message.more) return;
        await begin({});
      } else if (message.kind === 'read' && message.fileEnd) await settle({ epoch });
      else await next({ epoch });
    }
  };
  return { adapter, messages, log, counters, read };
};
