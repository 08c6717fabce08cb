/** What goes wrong, and when: drawn from the seed before the run begins. */

import type { Event } from '#actors/replica/machine/events.ts';
import { leads } from '#actors/replica/machine/state.ts';
import type { Message } from '#proto/consensus/messages.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import { baseless, distorted, misbehave } from './attacker.ts';
import { link, separate } from './network.ts';
import { boot, crash, feed, type SimulatedNode } from './node.ts';
import type { Random } from './random.ts';
import type { Simulation } from './simulator.ts';

export const FAULT_KINDS = [
  'drop',
  'delay',
  'duplicate',
  'reorder',
  'withhold',
  'one-way',
  'isolate',
  'crash',
  'lost-fsync',
  'executor-restart',
  'skew',
  'slow',
  'forge',
  'replay',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

/** At least three kinds. */
export const drawFaults = (chance: Random): readonly FaultKind[] => {
  const kinds = new Set<FaultKind>();
  const count = chance.int(3, 6);
  while (kinds.size < count) kinds.add(chance.pick(FAULT_KINDS));
  return [...kinds];
};

type Schedule = (simulation: Simulation, faultsMs: number) => void;

/** Windows of trouble within the fault phase. */
const windows = (
  { chance, at }: Simulation,
  faultsMs: number,
  count: number,
  lengthMs: number,
  open: () => () => void,
): void => {
  for (let number = 0; number < count; number += 1) {
    const fromMs = 200 + chance.real() * Math.max(faultsMs - lengthMs - 400, 1);
    const untilMs = Math.min(fromMs + lengthMs * (0.2 + chance.real()), faultsMs);
    let close: (() => void) | undefined;
    at(fromMs, () => {
      close = open();
    });
    at(untilMs, () => close?.());
  }
};

const conditionsFor =
  (name: 'drop' | 'duplicate' | 'delay' | 'reorder' | 'withhold', probability: number): Schedule =>
  (simulation, faultsMs) =>
    windows(simulation, faultsMs, 4, faultsMs / 5, () => {
      simulation.network.conditions[name] = probability;
      return () => {
        simulation.network.conditions[name] = 0;
      };
    });

const isolate: Schedule = (simulation, faultsMs) => {
  const { nodes, chance, network } = simulation;
  windows(simulation, faultsMs, 3, 4_000, () => {
    const places = nodes.map((node) => node.index);
    const size = chance.int(1, Math.max(1, Math.floor(nodes.length / 2)));
    const group = places.filter(() => chance.chance(0.5)).slice(0, size);
    separate(
      network.conditions,
      group,
      places.filter((place) => !group.includes(place)),
    );
    return () => network.conditions.cut.clear();
  });
};

const oneWay: Schedule = (simulation, faultsMs) => {
  const { nodes, chance, network } = simulation;
  windows(simulation, faultsMs, 4, 3_000, () => {
    const deaf = chance.pick(nodes).index;
    const links = nodes.filter(() => chance.chance(0.6)).map((node) => link(node.index, deaf));
    for (const one of links) network.conditions.cut.add(one);
    return () => {
      for (const one of links) network.conditions.cut.delete(one);
    };
  });
};

const restartLater = (simulation: Simulation, node: SimulatedNode): (() => void) => {
  if (!node.alive) return () => undefined;
  crash(node);
  simulation.crashes += 1;
  return () => {
    if (!node.alive) boot(node, simulation.world);
  };
};

const crashes: Schedule = (simulation, faultsMs) => {
  windows(simulation, faultsMs, 5, 2_000, () =>
    restartLater(simulation, simulation.chance.pick(simulation.nodes)),
  );
  // All at once, as when the process that holds them dies.
  windows(simulation, faultsMs, 1, 500, () => {
    const restarts = simulation.nodes.map((node) => restartLater(simulation, node));
    return () => {
      for (const restart of restarts) restart();
    };
  });
};

/** Down the moment after it wanted to write: the write, and all that waits for it, never happens. */
const lostFsync: Schedule = (simulation, faultsMs) => {
  const { hooks } = simulation.world;
  const { effect } = hooks;
  const armed = new Set<number>();
  Object.assign(hooks, {
    effect: (node: SimulatedNode, what: Parameters<typeof effect>[1]): void => {
      effect(node, what);
      if (what.kind !== 'persist' || !armed.delete(node.index)) return;
      simulation.world.later(0.5, () => {
        const restart = restartLater(simulation, node);
        simulation.world.later(200, restart);
      });
    },
  });
  windows(simulation, faultsMs, 8, 1_000, () => {
    const { index } = simulation.chance.pick(simulation.nodes);
    armed.add(index);
    return () => armed.delete(index);
  });
};

/** The executor alone: its forks are gone, its chain is not; the replica beside it lives on. */
const executorRestarts: Schedule = ({ nodes, chance, at }, faultsMs) => {
  for (let number = 0; number < 12; number += 1) {
    const { ledger } = chance.pick(nodes);
    at(chance.real() * faultsMs, () => ledger.forks.clear());
  }
};

const skew: Schedule = ({ nodes, chance }) => {
  for (const node of nodes) node.skewMs = chance.int(-2_000, 2_000);
};

const slow: Schedule = ({ nodes, chance }) => {
  chance.pick(nodes).slowness = 20;
};

const ACTS = 40;

/** One validator (of the twins, if there are any) acts against the others. */
const forge: Schedule = (simulation, faultsMs) => {
  const { nodes, byzantine, chance, network, world } = simulation;
  const attacker = nodes.find((node) => byzantine.has(node.id)) ?? chance.pick(nodes);
  byzantine.add(attacker.id);
  const say = (message: Message): void => world.transmit(attacker, null, message);
  const { transmit } = world;
  Object.assign(world, {
    transmit: (from: SimulatedNode, to: HashHex | null, message: Message): void =>
      transmit(from, to, from === attacker ? distorted(chance, message) : message),
  });
  const endMs = world.nowMs() + faultsMs;
  const { stepped } = world.hooks;
  let actedView = 0;
  Object.assign(world.hooks, {
    stepped: (node: SimulatedNode, event: Event): void => {
      stepped(node, event);
      const { view } = attacker.machine;
      if (node !== attacker || view <= actedView || !leads(attacker.machine, view)) return;
      actedView = view;
      if (world.nowMs() > endMs || chance.chance(0.5)) return;
      for (const message of baseless(attacker, chance, world.nowMs())) say(message);
    },
  });
  for (let act = 0; act < ACTS; act += 1) {
    simulation.at(chance.real() * faultsMs, () => {
      if (!attacker.alive) return;
      misbehave(attacker, chance, network.captured, say);
    });
  }
};

/** What was once said is said again, to somebody, in the name of whoever said it. */
const replay: Schedule = (simulation, faultsMs) => {
  const { nodes, chance, network, world } = simulation;
  for (let act = 0; act < 4 * ACTS; act += 1) {
    simulation.at(chance.real() * faultsMs, () => {
      if (network.captured.length === 0) return;
      const { from, message } = chance.pick(network.captured);
      const to = chance.pick(nodes);
      if (to.id !== from) feed(to, world, { kind: 'message', from, message });
    });
  }
};

const SCHEDULES: { readonly [K in FaultKind]: Schedule } = {
  drop: conditionsFor('drop', 0.15),
  delay: conditionsFor('delay', 0.3),
  duplicate: conditionsFor('duplicate', 0.3),
  reorder: conditionsFor('reorder', 0.5),
  withhold: conditionsFor('withhold', 0.6),
  'one-way': oneWay,
  isolate,
  crash: crashes,
  'lost-fsync': lostFsync,
  'executor-restart': executorRestarts,
  skew,
  slow,
  forge,
  replay,
};

/** Everything is over at `faultsMs`: links whole, clocks as they are, everybody up. */
export const scheduleFaults = (
  simulation: Simulation,
  kinds: readonly FaultKind[],
  faultsMs: number,
): void => {
  const { network, nodes, options, world } = simulation;
  for (const kind of kinds) SCHEDULES[kind](simulation, faultsMs);
  const groups = options.partitions ?? [];
  for (const group of groups) {
    const others = groups.filter((other) => other !== group).flat();
    separate(network.conditions, group, others);
  }
  simulation.at(faultsMs, () => {
    Object.assign(network.conditions, { drop: 0, duplicate: 0, delay: 0, reorder: 0, withhold: 0 });
    network.conditions.cut.clear();
    for (const node of nodes) if (!node.alive) boot(node, world);
  });
};
