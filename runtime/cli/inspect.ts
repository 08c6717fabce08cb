/** `inspect`: one actor between two of its steps. */
import { inspect as inspected } from 'node:util';
import type { Inspection } from '#runtime/control/inspection.ts';
import { EXIT } from './command.ts';
import { commandOf, verb } from './verb.ts';

const waits = (of: Inspection): string => {
  const senders = of.from.map(({ path, waiting }) => `${path} ${waiting}`);
  return [...(of.own > 0 ? [`own ${of.own}`] : []), ...senders].join(', ') || 'nothing';
};

const inspectionText = (of: Inspection): string => {
  const messages = of.messages.map(
    ({ atMs, kind, text }) => `  ${new Date(atMs).toISOString().slice(11, 23)} ${kind}  ${text}`,
  );
  return [
    `${of.path}  actor ${of.actor}, thread ${of.thread}, incarnation ${of.incarnation}${of.suspended ? ', suspended' : ''}${of.asleep ? ', asleep' : ''}`,
    `waiting     ${waits(of)}`,
    `held        ${of.held}`,
    `put aside   ${of.stashed}`,
    `open asks   ${of.openAsks}`,
    `unconfirmed ${of.unconfirmed}`,
    ...(messages.length === 0 ? [] : ['last messages', ...messages]),
    'state',
    inspected(of.state, { depth: 8, breakLength: 100 }).replaceAll(/^/gm, '  '),
  ]
    .join('\n')
    .replaceAll(/[^\P{C}\n]/gu, ' ');
};

export const inspect = verb({
  name: 'inspect',
  summary: 'what an actor holds, waits for and has in its state',
  usage: `<actor> [-o json]

The actor by its path in the tree or the end of one (v1.replica, features). It is looked at between two steps and goes
on. At most 2,000 values, six levels deep; secrets are masked.`,
  options: {},
  positionals: ['the actor'],
  optional: 0,
  isOfActor: true,
  run: async ({ node, io }, { positionals: [path] }) => {
    const found = await node.inspect(path!);
    io.out(io.json ? JSON.stringify(found) : inspectionText(found));
    return EXIT.ok;
  },
});

export const command = commandOf(inspect);
