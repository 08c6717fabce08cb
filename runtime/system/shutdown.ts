/**
 * Coordinated shutdown: the actors drain phase by phase, within a phase in start order; then everything stops in reverse
 * start order. Each phase has its time, and what those before it have left over; what does not stop in its time is
 * terminated.
 */
import type { RuntimeEvent } from '../events.ts';
import { PHASE_DEFAULT, type ShutdownPhase } from '../spec.ts';
import { withDeadline } from '../thread/port.ts';
import type { Member, Population } from './population.ts';
import { whileAlive } from './threads.ts';

/** What ending may take, after all draining. */
const STOP_MS = 4000;
/** Kept of it for terminating what did not stop. */
const RESERVE_MS = 1500;
const ASK_DRAIN_MS = 1000;

export type ShutdownReport = {
  /** Paths in the order in which they stopped. */
  readonly order: readonly string[];
  /** Paths that did not finish in their time. */
  readonly late: readonly string[];
  /** Paths whose thread could not be ended: only the end of the process helps. */
  readonly stuck: readonly string[];
  readonly elapsedMs: number;
};

const budgetOf = (member: Member): number =>
  member.spec.shutdownMs === 'brutal_kill' ? 0 : member.spec.shutdownMs;

const drainOne = async (
  population: Population,
  member: Member,
  untilMs: number,
  ended: (member: Member) => Promise<void>,
): Promise<boolean> => {
  const thread = population.thread(member);
  const leftMs = Math.min(budgetOf(member), untilMs - performance.now());
  if (!thread?.alive() || member.state !== 'running' || leftMs <= 0) return leftMs > 0;
  const end = ended(member);
  const { index, path } = member.place;
  try {
    if (!(await withDeadline(thread.control.drain(index), ASK_DRAIN_MS, `${path}: drain`)))
      return true;
    await whileAlive(thread, end, `${path}: drain`, leftMs);
    member.state = 'stopped';
    return true;
  } catch {
    return false;
  }
};

/** What happens on the way. */
export type ShutdownListener = {
  readonly report: (event: RuntimeEvent) => void;
  /** Resolves when the actor has ended by itself. */
  readonly ended: (member: Member) => Promise<void>;
};

type Course = { readonly order: string[]; readonly late: string[]; readonly stuck: string[] };

const drainPhase = async (
  population: Population,
  { name }: ShutdownPhase,
  untilMs: number,
  course: Course,
  on: ShutdownListener,
): Promise<void> => {
  const members = population.members.filter((m) => (m.spec.phase ?? PHASE_DEFAULT) === name);
  if (members.length > 0) on.report({ kind: 'phase', phase: name });
  for (const member of members) {
    const inTime = await drainOne(population, member, untilMs, on.ended);
    if (member.state === 'stopped' && inTime) course.order.push(member.place.path);
    if (!inTime && budgetOf(member) > 0) course.late.push(member.place.path);
  }
};

/** `beganMs` (performance clock): from when the time counts. */
export const shutDown = async (
  population: Population,
  beganMs: number,
  phases: readonly ShutdownPhase[],
  on: ShutdownListener,
): Promise<ShutdownReport> => {
  const course: Course = { order: [], late: [], stuck: [] };
  const { order, late, stuck } = course;
  let drainedMs = beganMs;
  for (const phase of phases) {
    drainedMs += phase.deadlineMs;
    await drainPhase(population, phase, drainedMs, course, on);
  }
  on.report({ kind: 'phase', phase: 'stop' });
  const untilMs = drainedMs + STOP_MS - RESERVE_MS;
  for (const member of [...population.members].reverse()) {
    if (member.state === 'running') {
      const leftMs = Math.max(1, untilMs - performance.now());
      const stopped = withDeadline(population.stop(member), leftMs, member.place.path);
      if (!(await stopped.catch(() => false))) late.push(member.place.path);
      order.push(member.place.path);
    }
    member.state = 'stopped';
    population.end(member, true);
    const thread = population.thread(member);
    const inside = thread === undefined ? [] : population.residents(thread.index);
    if (thread === undefined || inside.some((m) => m.state !== 'stopped')) continue;
    if (!(await thread.terminate('asked'))) stuck.push(member.place.path);
  }
  on.report({ kind: 'phase', phase: 'stopped' });
  return { order, late, stuck, elapsedMs: performance.now() - beganMs };
};
