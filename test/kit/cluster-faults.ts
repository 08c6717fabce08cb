/** What befalls a cluster, and when: moments of its progress, drawn from a seed. */
import { setTimeout as pause } from 'node:timers/promises';
import type { ClusterRun } from './cluster.ts';
import { type Random, random } from './simulator/random.ts';
import { until } from './system.ts';
import { VALIDATORS } from './validators.ts';

const PROCESSES = [...VALIDATORS, 'enforcer', 'detector'] as const;

export type Fault = {
  readonly victim: 'broker' | 'database' | (typeof PROCESSES)[number];
  /** It comes when so many anomalies are committed, and `more` since the fault before it. */
  readonly at: number;
  readonly more: number;
  /** So long nobody starts a service again. */
  readonly downMs: number;
};

/** Faults of one lane come one after the other; lanes know nothing of each other. */
export type FaultPlan = {
  readonly lanes: readonly (readonly Fault[])[];
  /** Later than this many committed none has to come: whatever still waits for more comes then. */
  readonly last: number;
};

/** What happened and when, for whoever has to read a failure. */
export type Chronicle = (text: string) => void;

const FIRST_SHARE = 0.05;
const LAST_SHARE = 0.8;
const MORE_MAX_SHARE = 0.06;
const DOWN_MAX_MS = 2500;
const MOMENT_MS = 120_000;

const lane = (chance: Random, victims: readonly Fault['victim'][], total: number): Fault[] =>
  victims
    .map((victim) => ({
      victim,
      at: chance.int(Math.ceil(total * FIRST_SHARE), Math.ceil(total * LAST_SHARE)),
      // Seldom 0: two at once.
      more: chance.int(0, Math.ceil(total * MORE_MAX_SHARE)),
      downMs: chance.int(0, DOWN_MAX_MS),
    }))
    .toSorted((a, b) => a.at - b.at);

/** The broker three times, the database twice, each process once, while `total` anomalies are committed. */
export const faultPlan = (seed: number, total: number): FaultPlan => {
  const chance = random(seed);
  const victims = [['broker', 'broker', 'broker'], ['database', 'database'], PROCESSES] as const;
  const lanes = victims.map((some) => lane(chance, some, total));
  return { lanes, last: Math.ceil(total * LAST_SHARE) };
};

/** Kills a service, leaves it down for a while, and starts it again. */
const strike = async (run: ClusterRun, { victim, downMs }: Fault): Promise<void> => {
  switch (victim) {
    case 'broker':
      await run.kafka.kill();
      await pause(downMs);
      return run.kafka.start();
    case 'database':
      await run.postgres.kill();
      await pause(downMs);
      return run.postgres.up();
    default: {
      const pid = await until(() => run.pidOf(victim), MOMENT_MS, 50);
      process.kill(pid, 'SIGKILL');
    }
  }
};

const progress = (run: ClusterRun, least: number): number | undefined => {
  const committed = run.committed();
  return committed >= least ? committed : undefined;
};

/** Resolves when all of it has happened and every service runs again. */
export const inflict = async (run: ClusterRun, plan: FaultPlan, tell: Chronicle): Promise<void> => {
  await Promise.all(
    plan.lanes.map(async (faults) => {
      let before = 0;
      for (const fault of faults) {
        const { victim, at, more } = fault;
        const moment = Math.max(at, Math.min(before + more, plan.last));
        before = await until(() => progress(run, moment), MOMENT_MS, 20);
        tell(`${victim} killed at ${before} committed (planned ${moment})`);
        await strike(run, fault);
        if (victim === 'broker' || victim === 'database') tell(`${victim} runs again`);
      }
    }),
  );
};
