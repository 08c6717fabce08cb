/** `status`: how the running node is. */
import type { TreeNode } from '#runtime/actor.ts';
import type { NodeStatus } from '#runtime/control/control.ts';
import type { Notice } from '#runtime/events.ts';
import {
  actorNodes,
  brakesOf,
  genesisOf,
  restartsOf,
  stateRootsOf,
} from '#runtime/metrics/snapshot.ts';
import type { Command } from './command.ts';
import { askNode, NODE_USAGE } from './running-node.ts';

export const statusText = (
  status: NodeStatus,
  tree: TreeNode,
  notices: readonly Notice[],
): string => {
  const actors = actorNodes(tree);
  const running = actors.filter((one) => one.state === 'running' && !one.suspended).length;
  const others = actors
    .filter((one) => one.state !== 'running' || one.suspended)
    .map((one) => `${one.path} ${one.suspended ? 'suspended' : one.state}`);
  const roots = Object.entries(stateRootsOf(tree)).map(([name, root]) => `  ${name}  ${root}`);
  const genesis = Object.entries(genesisOf(tree)).map(([name, text]) => `  ${name}  ${text}`);
  const brakes = Object.entries(brakesOf(tree)).map(([name, why]) => `  ${name}  ${why}`);
  const newest = notices
    .slice(-5)
    .map(({ atMs, topic, text }) => `  ${new Date(atMs).toISOString()}  ${topic}: ${text}`);
  return [
    `node          ${status.node}`,
    `state         ${status.state}`,
    `process       ${status.pid}, up ${Math.round(status.uptimeS)} s`,
    `actors        ${running} of ${actors.length} running${others.length > 0 ? ` (${others.join(', ')})` : ''}`,
    `restarts      ${restartsOf(tree)}`,
    `dead letters  ${status.deadLetters.total}`,
    ...(brakes.length === 0 ? [] : ['enforcing nothing', ...brakes]),
    ...(genesis.length === 0 ? [] : ['genesis', ...genesis]),
    ...(roots.length === 0 ? [] : ['state roots', ...roots]),
    ...(newest.length === 0 ? [] : ['newest', ...newest]),
  ].join('\n');
};

export const command: Command = {
  summary: 'how the running node is: actors, restarts, state roots, what happened last',
  usage: `status [<topology>] [--data folder] [-o json]

${NODE_USAGE}`,
  run: (args, io) =>
    askNode(args, io, command, async (node) => {
      const [status, tree, notices] = await Promise.all([
        node.status(),
        node.tree(),
        node.notices(),
      ]);
      if (!io.json) return io.out(statusText(status, tree, notices));
      const { newest: _, ...deadLetters } = status.deadLetters;
      const actors = actorNodes(tree).map(({ path, state, suspended = false, restarts }) => ({
        path,
        state,
        suspended,
        restarts,
      }));
      io.out(
        JSON.stringify({
          ...status,
          deadLetters,
          actors,
          brakes: brakesOf(tree),
          genesis: genesisOf(tree),
          stateRoots: stateRootsOf(tree),
          notices,
        }),
      );
    }),
};
