/** A pool as a specification: a group of so many actors of one kind, which one address stands for. */
import type { ActorSpec, Intensity, PoolRouting, SupervisorSpec } from './spec.ts';

export type PoolShape = PoolRouting & {
  readonly size: number;
  /** Threads that the members share; by default each has its own. */
  readonly threads?: number | undefined;
};

const INTENSITY: Intensity = { restarts: 5, periodS: 10 };

/** Name and thread of each member: `scorer-1` on its own, `scorer-3` on that of `scorer-1` when there are two threads. */
export const membersOf = (
  name: string,
  { size, threads = size }: Pick<PoolShape, 'size' | 'threads'>,
): readonly { readonly name: string; readonly thread: string }[] =>
  Array.from({ length: size }, (_, k) => ({
    name: `${name}-${k + 1}`,
    thread: k < threads ? 'own' : `${name}-${(k % threads) + 1}`,
  }));

/** `like` is what each member is. A pool that is significant has ended when all of its members have. */
export const poolOf = (like: ActorSpec, shape: PoolShape): SupervisorSpec => {
  const { route, by } = shape;
  return {
    kind: 'supervisor',
    name: like.name,
    strategy: 'one_for_one',
    intensity: INTENSITY,
    ...(like.significant ? { significant: true, autoShutdown: 'all_significant' } : {}),
    children: membersOf(like.name, shape).map((member) => ({ ...like, ...member })),
    pool: { route, ...(by === undefined ? {} : { by }) },
  };
};
