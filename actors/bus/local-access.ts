/**
 * The embedded bus for commands beside the running node: its log has one writer, the node, so they speak through a
 * socket in the data folder that only its owner can open.
 */
import { join } from 'node:path';
import type { Bus, FetchOutcome } from '#runtime/bus/driver.ts';
import { type CallServer, connectCalls, serveCalls } from '#runtime/control/local-calls.ts';

const CALL_DEADLINE_MS = 5000;
const RECORDS_MAX = 4096;

type BusCalls = Pick<Bus, 'publish' | 'fetch' | 'ends'>;

export const busSocket = (dataDir: string): string => join(dataDir, 'bus.sock');

/** `appended` hears of each topic that got a record: whoever waits for it reads again. */
export const serveBus = (
  dataDir: string,
  driver: Bus,
  appended: (topic: string) => void,
): Promise<CallServer> => {
  const calls: BusCalls = {
    publish: async (batch) => {
      const outcomes = await driver.publish(batch);
      for (const [k, { topic }] of batch.entries()) {
        if (outcomes[k]?.outcome === 'ok') appended(topic);
      }
      return outcomes;
    },
    fetch: (topic, group, positions, recordsMax) =>
      driver.fetch(topic, group, positions, Math.min(recordsMax, RECORDS_MAX)),
    ends: (topic, group) => driver.ends(topic, group),
  };
  return serveCalls(busSocket(dataDir), calls);
};

/** The bus of the node that runs on `dataDir`; rejects when none does. Marks of groups are not moved through it. */
export const connectBus = async (dataDir: string): Promise<Bus> => {
  const { remote, within, close } = await connectCalls<BusCalls>(busSocket(dataDir));
  const call = <T>(work: Promise<T>, what: string): Promise<T> =>
    within(work, CALL_DEADLINE_MS, `bus ${what}`);
  return {
    publish: (batch) => call(remote.publish(batch), 'publish'),
    fetch: (...question) => call<FetchOutcome>(remote.fetch(...question), 'fetch'),
    ends: (topic, group) => call(remote.ends(topic, group), 'ends'),
    commit: () => Promise.reject(new Error('a command moves no mark of a group')),
    close: async () => close(),
  };
};
