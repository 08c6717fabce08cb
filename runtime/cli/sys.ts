/** `suspend`, `resume`, `restart`, `kill`: OTP's sys verbs for one actor. */
import type { ControlClient } from '#runtime/control/control.ts';
import { EXIT } from './command.ts';
import { commandOf, type Verb, verb } from './verb.ts';

const sysVerb = (
  name: 'suspend' | 'resume' | 'restart' | 'kill',
  summary: string,
  explained: string,
  done: string,
): Verb =>
  verb({
    name,
    summary,
    usage: `<actor> [-o json]\n\n${explained}`,
    options: {},
    positionals: ['the actor'],
    optional: 0,
    isOfActor: true,
    run: async ({ node, io }, { positionals: [path] }) => {
      const call: ControlClient['kill'] = node[name];
      await call(path!);
      io.out(io.json ? JSON.stringify({ ok: true }) : `${path} ${done}`);
      return EXIT.ok;
    },
  });

export const SYS_VERBS = {
  suspend: sysVerb(
    'suspend',
    'stop an actor from taking steps; what comes waits',
    'Messages wait in its mailbox, within its bound; questions to it reach their deadlines. Ends with resume or a restart.',
    'is suspended',
  ),
  resume: sysVerb(
    'resume',
    'let a suspended actor go on',
    'What has waited is handled in order.',
    'goes on',
  ),
  restart: sysVerb(
    'restart',
    'close an actor in order and start it anew',
    `Its io is closed within its shutdownMs and opened again, its state begins anew, in the same thread; what waits in its
mailbox is kept. Nobody else is touched, and its supervisor counts no crash.`,
    'restarts',
  ),
  kill: sysVerb(
    'kill',
    'end the thread of an actor as a crash would',
    'Nothing is closed: this is what its supervisor is for.',
    'is killed; its supervisor decides',
  ),
} as const;

export const suspend = commandOf(SYS_VERBS.suspend);
export const resume = commandOf(SYS_VERBS.resume);
export const restart = commandOf(SYS_VERBS.restart);
export const kill = commandOf(SYS_VERBS.kill);
