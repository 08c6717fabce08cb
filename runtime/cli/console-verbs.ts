/** What the console can ask beside the commands that exist on their own. */
import type { DeadLetter } from '#runtime/system/thread.ts';
import { closest } from '#runtime/topology/nearest.ts';
import { EXIT } from './command.ts';
import { inspect } from './inspect.ts';
import { statusText } from './status.ts';
import { SYS_VERBS } from './sys.ts';
import { top } from './top.ts';
import { trace } from './trace.ts';
import { treeText } from './tree.ts';
import { type Verb, verb } from './verb.ts';

const LETTERS_SHOWN = 20;
const NONE = { options: {}, positionals: [] } as const;

const status = verb({
  ...NONE,
  name: 'status',
  summary: 'how the node is: actors, restarts, state roots, what happened last',
  usage: '[-o json]',
  optional: 0,
  run: async ({ node, io }) => {
    const [now, tree, notices] = await Promise.all([node.status(), node.tree(), node.notices()]);
    io.out(io.json ? JSON.stringify({ ...now, notices }) : statusText(now, tree, notices));
    return EXIT.ok;
  },
});

const tree = verb({
  ...NONE,
  name: 'tree',
  summary: 'the supervision tree: every actor, its thread and its mailbox',
  usage: '[-o json]',
  optional: 0,
  run: async ({ node, io }) => {
    const now = await node.tree();
    io.out(io.json ? JSON.stringify(now) : treeText(now));
    return EXIT.ok;
  },
});

const metrics = verb({
  ...NONE,
  name: 'metrics',
  summary: 'metrics in Prometheus text format',
  usage: '[part]\n\nOnly lines that contain the part, e.g. metrics v1.replica.',
  optional: 1,
  run: async ({ node, io }, { positionals: [part = ''] }) => {
    const lines = (await node.metrics()).split('\n');
    const shown = part === '' ? lines : lines.filter((line) => line.includes(part));
    io.out(shown.length === 0 ? `no metric contains ${part}` : shown.join('\n'));
    return EXIT.ok;
  },
});

const facts = verb({
  ...NONE,
  name: 'facts',
  summary: 'the newest facts that actors have told: state roots, addresses',
  usage: '[actor] [-o json]',
  optional: 1,
  isOfActor: true,
  run: async ({ node, io }, { positionals: [actor = ''] }) => {
    const found = Object.entries((await node.status()).facts).filter(([path]) =>
      `${path}.`.includes(actor),
    );
    const lines = found.flatMap(([path, own]) =>
      Object.entries(own).map(([name, value]) => `${path}  ${name}  ${value}`),
    );
    if (io.json) io.out(JSON.stringify(Object.fromEntries(found)));
    else io.out(lines.length === 0 ? 'no facts' : lines.join('\n'));
    return EXIT.ok;
  },
});

const letterLine = ({ atMs, reason, path, peer, kind, trace: id }: DeadLetter): string =>
  `${new Date(atMs).toISOString().slice(11, 23)} ${id.slice(0, 8)} ${reason}  ${path} / ${peer}  ${kind}`;

const letters = verb({
  ...NONE,
  name: 'letters',
  summary: 'dead letters: messages that went nowhere, and why',
  usage: `[-o json]\n\nAll are counted by reason; the newest ${LETTERS_SHOWN} are shown (-o json: 200).`,
  optional: 0,
  run: async ({ node, io }) => {
    const { deadLetters } = await node.status();
    if (io.json) {
      io.out(JSON.stringify(deadLetters));
      return EXIT.ok;
    }
    const counts = Object.entries(deadLetters.byReason).map(([reason, n]) => `${reason} ${n}`);
    const newest = deadLetters.newest.slice(-LETTERS_SHOWN).map(letterLine);
    io.out(
      [`${deadLetters.total} dead letters  ${counts.join(', ')}`.trimEnd(), ...newest].join('\n'),
    );
    return EXIT.ok;
  },
});

const config = verb({
  ...NONE,
  name: 'config',
  summary: 'the settings that the node runs with, and where each came from',
  usage:
    '[path] [-o json]\n\nOnly what begins with the path, e.g. config v1.replica. Secrets are masked.',
  optional: 1,
  run: async ({ node, io }, { positionals: [path = ''] }) => {
    const settings = (await node.settings()).filter(
      (one) => one.path === path || one.path.startsWith(path === '' ? '' : `${path}.`),
    );
    const lines = settings.map((s) => `${s.path} = ${JSON.stringify(s.value)}  # ${s.source}`);
    if (io.json) io.out(JSON.stringify({ settings }));
    else io.out(lines.length === 0 ? `no setting begins with ${path}` : lines.join('\n'));
    return EXIT.ok;
  },
});

/** In the order of the help. */
export const CONSOLE_VERBS: readonly Verb[] = [
  status,
  tree,
  top,
  trace,
  inspect,
  SYS_VERBS.suspend,
  SYS_VERBS.resume,
  SYS_VERBS.restart,
  SYS_VERBS.kill,
  metrics,
  facts,
  letters,
  config,
];

/** Words of the console itself. */
export const CONSOLE_WORDS = ['help', 'exit'] as const;

export const findVerb = (name: string): Verb | undefined =>
  CONSOLE_VERBS.find((one) => one.name === name);

export const unknownVerb = (name: string): string => {
  const known = [...CONSOLE_VERBS.map((one) => one.name), ...CONSOLE_WORDS];
  const near = closest(name, known);
  return `unknown command ${name}; ${near === undefined ? 'try help' : `did you mean ${near}?`}`;
};

export const helpText = (name: string | undefined): string => {
  const one = name === undefined ? undefined : findVerb(name);
  if (one !== undefined) return `${one.summary}\n\nUsage: ${one.name} ${one.usage}`;
  if (name !== undefined) return unknownVerb(name);
  const rows = [
    ...CONSOLE_VERBS.map((v) => [v.name, v.summary] as const),
    ['help', 'this list; help <command>: its arguments'] as const,
    ['exit', 'leave (so does Ctrl-D); the node goes on'] as const,
  ];
  const lines = rows.map(([word, summary]) => `  ${word.padEnd(8)}  ${summary}`);
  return `${lines.join('\n')}\n\nTab completes commands, actors and options; -o json after any command; Ctrl-C stops one.`;
};
