/** The modules of the actors of a thread, and their settings. */
import { compile } from '#native/lanes/layout.ts';
import type { Actor } from '../actor.ts';
import { type MetricsWriter, writeMetrics } from '../metrics/metrics.ts';
import type { Resident } from '../system/thread.ts';

export type Loaded = {
  readonly resident: Resident;
  readonly actor: Actor;
  readonly metrics: MetricsWriter;
};

const imported = async (url: string): Promise<Actor | undefined> =>
  ((await import(url)) as { readonly default?: Actor }).default;

/** Imports a module that a spare thread may come to need, and compiles what its actor reads and writes. */
export const preload = async (url: string): Promise<void> => {
  const actor = await imported(url);
  if (actor?.core === undefined) return; // said where it is to start
  compile(actor.self.declaration);
  if (typeof actor.sends === 'function') return;
  for (const to of actor.sends) compile(to.declaration);
};

/** Rejects with a TypeError that names the actor when the module holds none, or its settings are wrong. */
export const load = async (given: Resident, path: string): Promise<Loaded> => {
  const actor = await imported(given.module);
  if (actor?.core === undefined) {
    throw new TypeError(`${path}: ${given.module} exports no actor by default (defineActor)`);
  }
  const config = given.rawConfig ? await checked(actor, given.config, path) : given.config;
  return { resident: { ...given, config }, actor, metrics: writeMetrics(given.metrics) };
};

const checked = async (actor: Actor, given: unknown, path: string): Promise<unknown> => {
  if (actor.config === undefined) {
    if (Object.keys(given as object).length === 0) return given;
    throw new TypeError(`${path}.config: the actor takes no settings (defineActor has no config)`);
  }
  const result = actor.config.safeParse(given);
  if (result.success) return result.data;
  const { z } = await import('zod'); // the actor has it
  throw new TypeError(`${path}.config: ${z.prettifyError(result.error)}`);
};
