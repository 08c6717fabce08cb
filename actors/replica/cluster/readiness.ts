/** How the processes of a cluster are, asked over their APIs; and how one of them is restarted. */
import { setTimeout as sleep } from 'node:timers/promises';
import { err, ok, type Result } from '#proto/result.ts';
import { connectControl } from '#runtime/control/control.ts';
import type { Member } from './plan.ts';

const ANSWER_MS = 2000;
const LOOK_MS = 250;
export const READY_MS = 120_000;

type Place = Pick<Member, 'name' | 'topology' | 'dataDir' | 'apiPort'>;

/** The body of a 200; undefined for anything else. */
const get = async (port: number, route: string): Promise<unknown> => {
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/api/v1/${route}`, {
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (answer.ok) return (await answer.json()) as unknown;
    await answer.body?.cancel();
  } catch {
    // Not there yet, or not any more: that is what is being asked.
  }
  return undefined;
};

export const isReady = async ({ apiPort }: Place): Promise<boolean> =>
  (await get(apiPort, 'ready')) !== undefined;

type Consensus = {
  readonly committee: readonly { readonly name: string; readonly connected: boolean }[];
  readonly replicas: readonly { readonly genesis: string; readonly halted: boolean }[];
};

/** Whether a validator is among the others again: its genesis agreed on, all of them connected. */
const isAmongOthers = async ({ apiPort }: Place): Promise<boolean> => {
  const consensus = (await get(apiPort, 'consensus/overview')) as Consensus | undefined;
  const [own] = consensus?.replicas ?? [];
  if (consensus === undefined || own === undefined || own.halted) return false;
  return own.genesis.startsWith('agreed') && consensus.committee.every((one) => one.connected);
};

/** Ready, and a validator not before the others have it back. */
const isBack = async (place: Place): Promise<boolean> =>
  (await isReady(place)) && (place.topology !== 'validator' || (await isAmongOthers(place)));

const untilTrue = async (look: () => Promise<boolean>, withinMs: number): Promise<boolean> => {
  const deadline = performance.now() + withinMs;
  while (performance.now() < deadline) {
    if (await look()) return true;
    await sleep(LOOK_MS);
  }
  return false;
};

/** Resolves with the names that are not ready after `withinMs`; `told` hears of each that is. */
export const awaitReady = async (
  places: readonly Place[],
  told: (name: string) => void,
  isOver: () => boolean,
  withinMs = READY_MS,
): Promise<readonly string[]> => {
  const late: string[] = [];
  await Promise.all(
    places.map(async (place) => {
      let ready = false;
      const look = async () => {
        ready = await isReady(place);
        return ready || isOver();
      };
      await untilTrue(look, withinMs);
      if (ready) told(place.name);
      else late.push(place.name);
    }),
  );
  return late;
};

/** The process of the node on this data folder; undefined when none answers. */
export const pidOf = async (dataDir: string): Promise<number | undefined> => {
  try {
    const node = await connectControl(dataDir);
    try {
      return (await node.status()).pid;
    } finally {
      node.close();
    }
  } catch {
    return undefined; // it does not run, or not yet
  }
};

/**
 * Ends one process (it drains first) and waits until whoever keeps it has started it again and it is back: a
 * validator among the others. The error is a sentence.
 */
export const restartOne = async (place: Place): Promise<Result<number, string>> => {
  const { name, dataDir } = place;
  const before = await pidOf(dataDir);
  if (before === undefined) return err(`${name} does not run: nothing answers in ${dataDir}`);
  const startedMs = performance.now();
  process.kill(before, 'SIGTERM');
  const look = async () => {
    const now = await pidOf(dataDir);
    return now !== undefined && now !== before && (await isBack(place));
  };
  return (await untilTrue(look, READY_MS))
    ? ok(performance.now() - startedMs)
    : err(`${name} is not back after ${READY_MS / 1000} s: the rest is left as it is`);
};
