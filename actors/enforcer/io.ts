/** The agent's disk and its backend. Entries and acknowledgements are durable before the bus hears of them. */
import { isAbsolute, join } from 'node:path';
import { crypto, readPrivateKey } from '#native/crypto.ts';
import { readGenesis } from '#native/genesis-file.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import type { Io, IoPort } from '#runtime/actor.ts';
import { type Fault, failed, gone } from './backend.ts';
import { backendOf } from './backends/choice.ts';
import beliefTask, { type BeliefTask } from './belief-task.ts';
import { brakeOf, hands } from './brake.ts';
import type { EnforcerConfig } from './config.ts';
import type { Commands, Self } from './core.ts';
import { NOWHERE, type Surroundings } from './neighbourhood.ts';
import { reconcile, restore, suspend } from './reconciling.ts';
import type { Entry } from './registry.ts';
import type { Beliefs } from './state.ts';
import { openDisk } from './store.ts';
import { surveyor } from './surroundings.ts';

const BELIEF_TASK = new URL('./belief-task.ts', import.meta.url);

const surveys = (config: EnforcerConfig, port: IoPort<Self>): (() => Promise<Surroundings>) => {
  const survey = surveyor({
    netns: config.netns,
    sshConnection: process.env.SSH_CONNECTION ?? '',
    now: port.now,
  });
  let last = NOWHERE;
  return async () => {
    // The first cuts nothing off; the host of the other is not what it protects.
    if (config.backend === 'noop' || config.backend === 'kubernetes') return NOWHERE;
    const found = await survey();
    if (found.ok) last = found.value;
    else port.log('warn', 'the surroundings of this host cannot be seen', { ...found.error });
    return last;
  };
};

/** One call of the backend after the other, in the order of the commands. */
const queue = () => {
  let last: Promise<void> = Promise.resolve();
  return (work: () => Promise<void>): Promise<void> => {
    last = last.then(work);
    return last;
  };
};

/** On the pool, and here where that fails. */
const beside =
  (port: IoPort<Self>) =>
  async (values: readonly Uint8Array[]): Promise<Beliefs> => {
    const task: BeliefTask = { genesis: port.node.genesis, values };
    try {
      return await port.pool<Beliefs>(BELIEF_TASK, 'default', task);
    } catch (cause) {
      port.log('warn', 'the pool of threads does not verify: this thread does', { cause });
      port.emit('pool_failures', 1);
      return beliefTask(task);
    }
  };

export const io: Io<EnforcerConfig, Self, Commands> = async (config, port) => {
  const disk = openDisk(join(port.dataDir, 'enforcer.sqlite'));
  const backend = backendOf(config, port.now);
  const brake = brakeOf(config, port);
  const survey = surveys(config, port);
  const inTurn = queue();
  const keys = join(port.node.dataDir, 'keys');
  const pair = readPrivateKey(isAbsolute(config.key) ? config.key : join(keys, config.key));
  const genesis = readGenesis(port.node.genesis);
  const beliefs = beside(port);
  const deliver = (message: Self): void => {
    // One result a command, commands come in batches of one fetch: a full mailbox here is a bug.
    if (!port.deliver(message)) throw new Error('the enforcer cannot take its own result');
  };
  const equalize = (desired: readonly Entry[], how: typeof reconcile) =>
    inTurn(async () => {
      const why = brake();
      const found = await (why === undefined
        ? how(backend, desired, port.now)
        : suspend(backend, desired, why));
      deliver({ kind: 'reconciled', desired, found });
    });
  const clear = async (): Promise<Fault | undefined> => {
    let fault: Fault | undefined;
    await inTurn(async () => {
      const cleared = await backend.clear();
      if (!cleared.ok) fault = cleared.error;
    });
    return fault;
  };
  const probed = await backend.probe();
  if (!probed.ok) port.log('error', 'policies cannot be enforced', { ...probed.error });
  return {
    commands: {
      open: async () => {
        const around = await survey();
        const committee = genesisCommittee(genesis, crypto);
        deliver({ kind: 'opened', genesis, committee, pair, around, ...disk.load() });
      },
      believe: async ({ id, values }) =>
        deliver({ kind: 'believed', id, beliefs: await beliefs(values) }),
      enforce: (batch) =>
        inTurn(async () => {
          const why = brake();
          const ended = batch.remove.map((entry) => entry.id);
          const outcomes =
            why === undefined
              ? await backend.change(batch.apply, ended, port.now())
              : [...batch.apply.map((entry) => failed(entry, why)), ...gone(ended, why.code)];
          deliver({ kind: 'enforced', batch, outcomes });
        }),
      save: (work) => {
        const acks = disk.save(work);
        deliver({ kind: 'saved', places: work.places, acks });
      },
      acked: ({ id }) => {
        disk.acked(id);
      },
      restore: (desired) => equalize(desired, restore),
      reconcile: (desired) => equalize(desired, reconcile),
      ...hands(config, { ...port, brake, clear, deliver }),
      survey: async () => deliver({ kind: 'surveyed', around: await survey() }),
    },
    close: async () => {
      await inTurn(() => backend.close());
      disk.close();
    },
  };
};
