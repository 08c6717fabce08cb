/** `tree`: the supervision tree of the running node. */
import type { TreeNode } from '#runtime/actor.ts';
import type { Command } from './command.ts';
import { askNode, NODE_USAGE } from './running-node.ts';

const detail = (node: TreeNode): string => {
  if (node.kind === 'supervisor') return node.strategy ?? '';
  const parts = [
    node.suspended ? `${node.state} (suspended)` : node.state,
    ...(node.thread === undefined ? [] : [`thread ${node.thread}`]),
    ...(node.restarts === 0 ? [] : [`${node.restarts} restarts`]),
    ...(node.mailboxDepth === undefined
      ? []
      : [`mailbox ${node.mailboxDepth} (max ${node.mailboxDepthMax ?? node.mailboxDepth})`]),
    ...(node.messages === undefined ? [] : [`${node.messages} messages`]),
  ];
  return parts.join(', ');
};

/** The tree with branches, one line a node. */
export const treeLines = (node: TreeNode, prefix = ''): string[] => {
  const children = node.children ?? [];
  return children.flatMap((child, k) => {
    const isLast = k === children.length - 1;
    const line = `${prefix}${isLast ? '└─ ' : '├─ '}${child.name}  ${detail(child)}`.trimEnd();
    return [line, ...treeLines(child, `${prefix}${isLast ? '   ' : '│  '}`)];
  });
};

export const treeText = (tree: TreeNode): string =>
  [`${tree.name || 'root'}  ${detail(tree)}`, ...treeLines(tree)].join('\n');

export const command: Command = {
  summary: 'the supervision tree of the running node',
  usage: `tree [<topology>] [--data folder] [-o json]

${NODE_USAGE}`,
  run: (args, io) =>
    askNode(args, io, command, async (node) => {
      const tree = await node.tree();
      if (io.json) io.out(JSON.stringify(tree));
      else io.out(treeText(tree));
    }),
};
