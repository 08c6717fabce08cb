/** A few replicas on a perfect network, driven by hand: for tests that read as transcripts. */
import { admit, boot, crash, type SimulatedNode } from './node.ts';
import { type RunOptions, simulate, transaction } from './simulator.ts';

export type Cluster = {
  readonly nodes: readonly SimulatedNode[];
  /** Lets simulated time pass. */
  pass(milliseconds: number): void;
  /** A client brings a transaction to these replicas, or to all. */
  bring(number: number, places?: readonly number[]): void;
  stop(place: number): void;
  restart(place: number): void;
  cutOff(place: number): void;
  heal(): void;
  /** What was said since the last call, without heartbeats: "v1 vote 1", in order. */
  said(): readonly string[];
  heights(): readonly number[];
  views(): readonly number[];
  violation(): unknown;
};

export const cluster = (options: RunOptions): Cluster => {
  const simulation = simulate(options);
  const { nodes, world, network, judge } = simulation;
  let nowMs = 0;
  let said: string[] = [];
  const { sent } = world.hooks;
  Object.assign(world.hooks, {
    sent: (node: SimulatedNode, message: Parameters<typeof sent>[1]): void => {
      sent(node, message);
      if (message.kind === 'vote') said.push(`${node.name} votes in ${message.vote.view}`);
      if (message.kind === 'timeout')
        said.push(`${node.name} gives up ${message.timeout.claim.view}`);
      if (message.kind !== 'proposal') return;
      const { view, txCount } = message.block.header;
      said.push(`${node.name} proposes in ${view}: ${txCount}${message.tc ? ' after a TC' : ''}`);
    },
  });
  const nodeAt = (place: number): SimulatedNode => nodes[place] as SimulatedNode;
  for (const node of nodes) simulation.at(0, () => boot(node, world));
  return {
    nodes,
    pass: (milliseconds) => {
      nowMs += milliseconds;
      simulation.runUntil(nowMs);
    },
    bring: (number, places = nodes.map((node) => node.index)) => {
      for (const place of places) admit(nodeAt(place), world, [transaction(number)], true);
    },
    stop: (place) => crash(nodeAt(place)),
    restart: (place) => boot(nodeAt(place), world),
    cutOff: (place) => {
      for (const node of nodes) {
        network.conditions.cut.add(`${place}>${node.index}`);
        network.conditions.cut.add(`${node.index}>${place}`);
      }
    },
    heal: () => network.conditions.cut.clear(),
    said: () => {
      const lines = said;
      said = [];
      return lines;
    },
    heights: () => nodes.map((node) => node.ledger.chain.length),
    views: () => nodes.map((node) => node.machine.view),
    violation: () => judge.violation(),
  };
};
