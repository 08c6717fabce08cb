/** Starts real systems in tests: threads, lanes and supervision, with a dataDir of their own. */
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Actor } from '#runtime/actor.ts';
import type { RuntimeEvent } from '#runtime/events.ts';
import type {
  ActorSpec,
  ChildSpec,
  Intensity,
  Strategy,
  SupervisorSpec,
  SystemSpec,
} from '#runtime/spec.ts';
import { type Stopped, type System, startSystem } from '#runtime/system.ts';

/**
 * An actor of the tree. `module` is the file that exports it by default; give `new URL('./fixtures/x.ts', import.meta.url)`.
 * `actor` (the name that addresses look for) is the same as `name` unless given.
 */
export const actor = (
  name: string,
  module: URL,
  given: Partial<Omit<ActorSpec, 'kind' | 'name' | 'module'>> = {},
): ActorSpec => ({
  kind: 'actor',
  name,
  actor: name,
  module: module.href,
  config: {},
  thread: 'own',
  restart: 'permanent',
  shutdownMs: 1000,
  mailbox: { depth: 4096, onFull: 'backpressure' },
  ...given,
});

export const supervisor = (
  name: string,
  children: readonly ChildSpec[],
  strategy: Strategy = 'one_for_one',
  intensity: Intensity = { restarts: 100, periodS: 10 },
): SupervisorSpec => ({ kind: 'supervisor', name, strategy, intensity, children });

export type TestSystem = System & {
  readonly dataDir: string;
  /** Every event since the start. */
  readonly seen: readonly RuntimeEvent[];
  /** Resolves with the first value of `look` that is not undefined or false; fails after `ms`. */
  until<T>(look: () => T | undefined | false, ms?: number): Promise<T>;
  /** The newest fact that an actor has signalled. */
  fact(path: string, name: string): string | undefined;
  /** Stops and removes the dataDir (unless it was given). */
  end(): Promise<Stopped>;
};

/** Resolves with the first value of `look` that is not undefined or false. */
export const until = async <T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  ms = 20_000,
  pauseMs = 5,
): Promise<T> => {
  const endMs = performance.now() + ms;
  for (;;) {
    const value = await look();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > endMs) throw new Error(`not within ${ms} ms: ${look.toString()}`);
    await new Promise((done) => setTimeout(done, pauseMs));
  }
};

/** Configurations as the topology loader leaves them: through the actor's own schema, defaults filled in. */
const parsed = async <Spec extends ChildSpec>(spec: Spec): Promise<Spec> => {
  if (spec.kind === 'supervisor') {
    return { ...spec, children: await Promise.all(spec.children.map(parsed)) };
  }
  // As the topology finds it: in the file beside the actor, or in the actor itself.
  const beside = new URL('config.ts', spec.module);
  const { config } = existsSync(beside)
    ? ((await import(beside.href)) as Pick<Actor, 'config'>)
    : ((await import(spec.module)) as { readonly default: Actor }).default;
  return config === undefined ? spec : { ...spec, config: await config.parseAsync(spec.config) };
};

/** Starts a system. Without a control socket unless `given` says otherwise. */
export const testSystem = async (
  root: SupervisorSpec | readonly ChildSpec[],
  given: Partial<Omit<SystemSpec, 'root'>> & { readonly dataDir?: string } = {},
): Promise<TestSystem> => {
  const { dataDir: kept, ...rest } = given;
  const dataDir = kept ?? (await mkdtemp(join(tmpdir(), 'cybermesh-')));
  const seen: RuntimeEvent[] = [];
  const spec: SystemSpec = {
    root: await parsed('kind' in root ? root : supervisor('root', root)),
    node: {
      name: 'test',
      dataDir,
      genesis: { file: '', sha256: '' },
      database: { url: 'embedded' },
    },
    controlSocket: false,
    ...rest,
  };
  const system = await startSystem(spec, (event) => seen.push(event));
  return {
    ...system,
    dataDir,
    seen,
    until,
    fact: (path, name) => system.facts()[path]?.[name],
    end: async () => {
      const stopped = await system.stop();
      if (kept === undefined) await rm(dataDir, { recursive: true, force: true });
      return stopped;
    },
  };
};
