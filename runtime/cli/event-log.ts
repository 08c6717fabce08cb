/** What a running system tells, as log lines. */

import { unreachable } from '#proto/result.ts';
import type { LogFields, LogLevel } from '#runtime/actor.ts';
import type { RuntimeEvent } from '#runtime/events.ts';

export type LogLine = {
  readonly level: LogLevel;
  /** Tree path of the actor, or `runtime`. */
  readonly actor: string;
  readonly text: string;
  readonly fields: LogFields;
};

const line = (level: LogLevel, actor: string, text: string, fields: LogFields = {}): LogLine => ({
  level,
  actor: actor === '' ? 'runtime' : actor,
  text,
  fields,
});

const ofSignal = (event: RuntimeEvent & { readonly kind: 'signal' }): LogLine => {
  const { path, event: said } = event;
  switch (said.kind) {
    case 'complete':
      return line('info', path, 'everything that the source caused is acknowledged');
    case 'ready':
      return line('info', path, 'ready');
    case 'fact':
      return line('debug', path, `${said.name} ${said.value}`, { [said.name]: said.value });
    case 'notice':
      return line('info', path, said.text, { topic: said.topic });
    default:
      return unreachable(said);
  }
};

/** One line for each event. */
export const logLine = (event: RuntimeEvent): LogLine => {
  switch (event.kind) {
    case 'signal':
      return ofSignal(event);
    case 'log':
      return line(event.level, event.path, event.text, event.fields);
    case 'crash': {
      const { path, reason, kind, error, stack } = event.crash;
      if (reason === 'no-room')
        return line('error', path, `waits for its disk: ${error}`, { kind });
      return line('error', path, `crashed in ${kind}: ${error}`, { stack });
    }
    case 'started':
      return line('debug', event.path, 'started', { incarnation: event.incarnation });
    case 'restarted':
      return line('warn', event.path, 'restarted', { restarts: event.restarts });
    case 'ended':
      return line('info', event.path, `ended: ${event.reason}`);
    case 'escalated':
      return line('error', event.path, 'too many restarts: the supervisor gave up');
    case 'dead': {
      const { path, reason, peer, kind } = event.letter;
      return line('debug', path, `dead letter ${kind}: ${reason}`, { peer, reason });
    }
    case 'deadlock':
      return line(
        'warn',
        'runtime',
        `${event.paths.join(', ')} waited for each other in a circle`,
        {
          discarded: event.discarded,
        },
      );
    case 'stuck':
      return line('error', 'runtime', 'a native call does not return; its thread cannot be ended', {
        thread: event.thread,
        actors: event.paths,
      });
    case 'phase':
      return line('info', 'runtime', `shutdown: ${event.phase}`);
    default:
      return unreachable(event);
  }
};
