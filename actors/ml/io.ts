/**
 * The ONNX session: one run at a time, in native custody, so that nobody ends the thread in the
 * middle.
 */
import { floatsOf } from '#proto/flow-batch.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import type { MlConfig } from './config.ts';
import type { Commands, Self } from './core.ts';
import { gather } from './selection.ts';
import { OWN_MODELS, openModel } from './session.ts';

const deliver = (port: IoPort<Self>, message: Self): void => {
  // In flight is bounded far below the mailbox: this cannot happen in a sound system.
  if (!port.deliver(message))
    throw new Error('the mailbox of the engine is full of its own results');
};

export const io: Io<MlConfig, Self, Commands> = async (config, port) => {
  const folder = config.models === '' ? OWN_MODELS : config.models;
  const opened = await port.native(() => openModel(folder, config.model, config.evaluation));
  let last: Promise<void> = Promise.resolve();

  const score = async ({ ticket, vectors, rows, explainFrom }: Commands['score']) => {
    const startedMs = performance.now();
    const all = floatsOf(vectors);
    try {
      const scores = await port.native(() => opened.run(gather(all, rows)));
      const explained = [...rows].filter((_, k) => (scores[k] ?? 0) >= explainFrom);
      const tookMs = performance.now() - startedMs;
      const copies = gather(all, explained);
      deliver(port, { kind: 'scored', ticket, scores, vectors: copies, tookMs });
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      deliver(port, { kind: 'failed', ticket, reason });
    }
  };

  return {
    commands: {
      describe: () =>
        deliver(port, { kind: 'opened', manifest: opened.manifest, model: opened.model }),
      score: (command) => {
        last = last.then(() => score(command));
        return last;
      },
    },
    close: async () => {
      await last;
      await port.native(() => opened.close());
    },
  };
};
