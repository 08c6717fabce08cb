/** A system without a topology file: its tree as plain data, each actor's module by its URL. */
import path from 'node:path';
import { z } from 'zod';
import type { Backoff } from '#supervisors/backoff.ts';
import type { RuntimeEvent } from './events.ts';
import { type PoolShape, poolOf } from './pool-spec.ts';
import {
  type ActorSpec,
  type ChildSpec,
  type Intensity,
  PHASE_DEFAULT,
  type ShutdownPhase,
  type Strategy,
  type SupervisorSpec,
  type SystemSpec,
} from './spec.ts';
import { type System, startSystem as startSpec } from './system.ts';
import { actorLine, groupLine, nodeSection } from './topology/schema.ts';

/** One line of the tree: an actor. What is left out is as in a topology file. */
export type ActorOptions = Partial<
  Pick<
    ActorSpec,
    | 'actor'
    | 'config'
    | 'thread'
    | 'restart'
    | 'shutdownMs'
    | 'significant'
    | 'passivateMs'
    | 'phase'
  >
> & {
  /** Unique among its siblings. Also the name that addresses look for, unless `actor` says another. */
  readonly name: string;
  /** The module whose default export is the actor: `new URL('./greeter.ts', import.meta.url)`. */
  readonly module: URL | string;
  readonly mailbox?: Partial<ActorSpec['mailbox']>;
  /** So many of this actor behind its one address. */
  readonly pool?: Pick<PoolShape, 'size'> & Partial<PoolShape>;
};

/** One line of the tree: a supervisor. */
export type GroupOptions = {
  readonly name: string;
  readonly children: readonly ChildOptions[];
  readonly strategy?: Strategy;
  readonly intensity?: Partial<Intensity>;
  readonly backoff?: Partial<Backoff>;
} & Partial<Pick<SupervisorSpec, 'autoShutdown' | 'restart' | 'significant'>>;
export type ChildOptions = ActorOptions | GroupOptions;

export type SystemOptions = Omit<GroupOptions, 'name' | 'restart' | 'significant'> &
  Partial<
    Pick<
      SystemSpec,
      | 'lanes'
      | 'slabs'
      | 'spinUs'
      | 'silentMs'
      | 'memoryMb'
      | 'offHeapMb'
      | 'spares'
      | 'codeCache'
      | 'seed'
      | 'trace'
      | 'flightMessages'
      | 'otlp'
    >
  > & {
    /** Name of the node (default `local`). */
    readonly name?: string;
    /** Folder for what actors keep, and for crash reports (default `./data`); it is made when it is needed. */
    readonly dataDir?: string;
    readonly shutdown?: readonly ShutdownPhase[];
    /** Serve the control socket in dataDir, for `cybermesh status --data` (default false). */
    readonly controlSocket?: boolean;
  };

const parsed = <S extends z.ZodType>(schema: S, value: unknown, where: string): z.output<S> => {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  throw new TypeError(`${where}: ${z.prettifyError(result.error)}`);
};

const actorOf = (options: ActorOptions, where: string): ChildSpec => {
  const { module, actor = options.name, config = {}, ...line } = options;
  const checked = parsed(actorLine, { ...line, actor }, where);
  const { passivateMs, pool, significant, config: _, ...rest } = checked;
  const spec: ActorSpec = {
    kind: 'actor',
    ...rest,
    module: module instanceof URL ? module.href : module,
    config,
    rawConfig: true,
    ...(significant ? { significant } : {}),
    ...(passivateMs === undefined ? {} : { passivateMs }),
  };
  if (pool === undefined) return spec;
  const { by, ...shape } = pool;
  return poolOf(spec, { ...shape, ...(by === undefined ? {} : { by }) });
};

const childOf = (options: ChildOptions, above: string): ChildSpec => {
  const where = above === '' ? options.name : `${above}.${options.name}`;
  return 'children' in options ? groupOf(options, where) : actorOf(options, where);
};

const groupOf = (options: GroupOptions, where: string): SupervisorSpec => {
  const { children, ...line } = options;
  const { children: _, ...checked } = parsed(
    groupLine,
    { ...line, children: [{}] },
    where || 'root',
  );
  const specs = children.map((child) => childOf(child, where));
  return { kind: 'supervisor', ...checked, children: specs };
};

/** An actor whose phase does not exist would never drain. */
const checkPhases = (spec: ChildSpec, phases: readonly ShutdownPhase[]): void => {
  if (spec.kind === 'supervisor') {
    for (const child of spec.children) checkPhases(child, phases);
    return;
  }
  const names = phases.map((phase) => phase.name);
  if (names.includes(spec.phase ?? PHASE_DEFAULT)) return;
  throw new TypeError(
    `${spec.name}: no phase ${spec.phase ?? PHASE_DEFAULT} in shutdown, which has ${names.join(', ')}`,
  );
};

/**
 * Starts the actors in order, each on its thread; rejects when one does not start, and nothing is left then. `watch` sees
 * every event from the first on.
 */
export const startSystem = async (
  options: SystemOptions,
  watch?: (event: RuntimeEvent) => void,
): Promise<System> => {
  const { name, dataDir, shutdown, controlSocket, ...above } = options;
  const { children, strategy, intensity, autoShutdown, backoff, ...rest } = above;
  const root = groupOf(
    {
      ...{ name: 'root', children },
      ...(strategy && { strategy }),
      ...(intensity && { intensity }),
      ...(autoShutdown && { autoShutdown }),
      ...(backoff && { backoff }),
    },
    '',
  );
  const given = {
    ...(name && { name }),
    ...(dataDir && { dataDir }),
    ...(shutdown && { shutdown }),
  };
  const node = parsed(nodeSection, given, 'system');
  checkPhases(root, node.shutdown);
  const spec: SystemSpec = {
    ...rest,
    root,
    node: {
      name: node.name,
      dataDir: path.resolve(node.dataDir),
      genesis: { file: '', sha256: '' },
      database: { url: 'embedded' },
    },
    shutdown: node.shutdown,
    controlSocket: controlSocket ?? false,
  };
  return startSpec(spec, watch);
};
