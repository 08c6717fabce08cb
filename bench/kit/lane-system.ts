/** Runs a small system until one of its actors says what it has measured. */
import { fileURLToPath } from 'node:url';
import type { ActorSpec, SystemSpec } from '#runtime/spec.ts';
import { actor, testSystem } from '#test/kit/system.ts';
import type { Job } from '../fixtures/protocol.ts';
import type { Figures } from './rounds.ts';

const DEADLINE_MS = 300_000;

/** An actor of `bench/fixtures/<file>.ts`; its address is the name of the file. */
export const benchActor = (
  name: string,
  file: string,
  config: object = {},
  given: Partial<ActorSpec> = {},
): ActorSpec => {
  const module = new URL(`../fixtures/${file}.ts`, import.meta.url);
  const mailbox = { depth: 65_536, onFull: 'backpressure' } as const;
  return actor(name, module, { actor: file, config, mailbox, ...given });
};

/** Where a fixture lies, for those who start it otherwise. */
export const fixtureFile = (file: string): string =>
  fileURLToPath(new URL(`../fixtures/${file}`, import.meta.url));

/** Told by the source before its clock starts; counted in what a run costs. */
const WARM = 1 << 18;

/** Nanoseconds of processor time, of all threads, that a message from one thread to another costs. */
export const tellCost = async (
  job: Job,
  messages: number,
  given: Partial<SystemSpec> = {},
): Promise<number> => {
  const before = process.cpuUsage();
  await tellRate(job, messages, given);
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / (messages + WARM);
};

/** Messages a second from one thread to another. `messages` is a multiple of 4,096. */
export const tellRate = async (
  job: Job,
  messages: number,
  given: Partial<SystemSpec> = {},
  perStep = 32,
): Promise<number> => {
  const source = benchActor('source', 'source', { job, messages, perStep, warm: WARM });
  return (await measured([benchActor('sink', 'sink'), source], 'source', given)).rate!;
};

/** Resolves with the fact `figures` of the actor `who`. */
export const measured = async (
  children: readonly ActorSpec[],
  who: string,
  given: Partial<SystemSpec> = {},
): Promise<Figures> => {
  const system = await testSystem(children, given);
  try {
    const told = await system.until(() => system.fact(who, 'figures'), DEADLINE_MS);
    const crash = system.seen.find((event) => event.kind === 'crash');
    if (crash !== undefined) throw new Error(`a crash in the benchmark: ${JSON.stringify(crash)}`);
    return JSON.parse(told) as Figures;
  } finally {
    await system.end();
  }
};
