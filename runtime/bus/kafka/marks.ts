/**
 * Committed marks of groups, kept by Kafka's own group coordinator. Nobody joins a group: marks are committed as those of
 * a group without members. They are written MARKS_MS after they were told, all of a group together.
 */
import { kafkaTypeOf } from './faults.ts';
import type { Health } from './health.ts';
import type { Link } from './link.ts';
import { EARLIEST, offsetsOf } from './offsets.ts';
import type { KafkaSettings } from './settings.ts';
import { pause } from './waiting.ts';

export type Marks = {
  /** Where the group begins: its mark, or the beginning of a partition that it has none for. */
  readonly begin: (topic: string, group: string) => Promise<readonly number[]>;
  readonly commit: (topic: string, group: string, positions: readonly number[]) => void;
  /** Writes what waits, once; resolves whether it worked or not. */
  readonly close: () => Promise<void>;
};

const MARKS_MS = 200;
const AGAIN_MS = 1000;
const COORDINATOR_MS = 5000;
const COORDINATOR_LOOK_MS = 50;
const COORDINATOR = /COORDINATOR|GROUP_LOAD_IN_PROGRESS/;

type Pending = Map<string, readonly number[]>;

const higher = (a: readonly number[], b: readonly number[]): readonly number[] =>
  Array.from({ length: Math.max(a.length, b.length) }, (_, k) => Math.max(a[k] ?? 0, b[k] ?? 0));

export const openMarks = (link: Link, settings: KafkaSettings, health: Health): Marks => {
  /** What Kafka has, as far as we know: by group, by topic. */
  const written = new Map<string, Pending>();
  const waiting = new Map<string, Pending>();
  const timers = new Map<string, NodeJS.Timeout>();
  let writing: Promise<unknown> = Promise.resolve();

  const at = (marks: Map<string, Pending>, group: string): Pending => {
    const found: Pending = marks.get(group) ?? new Map();
    marks.set(group, found);
    return found;
  };
  const nameOf = (group: string): string => `${settings.groupPrefix}${group}`;

  /** The first use of groups on a broker makes its own topic of offsets, which takes a moment. */
  const load = async (topic: string, group: string): Promise<readonly number[]> => {
    const partitions = (await link.place(topic)).map((_, partition) => ({ partition }));
    const untilMs = settings.now() + COORDINATOR_MS;
    for (;;) {
      try {
        const coordinator = await link.coordinator(nameOf(group));
        const { responses } = await coordinator.offsetFetch({
          groupId: nameOf(group),
          topics: [{ topic, partitions }],
        });
        const marks = partitions.map(() => -1);
        for (const { partition, offset } of responses.flatMap((one) => one.partitions)) {
          marks[partition] = Number(offset);
        }
        return marks;
      } catch (error) {
        link.doubtCoordinator(nameOf(group));
        if (!COORDINATOR.test(kafkaTypeOf(error)) || settings.now() >= untilMs) throw error;
        await pause(COORDINATOR_LOOK_MS);
      }
    }
  };

  const begin = async (topic: string, group: string): Promise<readonly number[]> => {
    const found = await load(topic, group);
    const first = found.includes(-1) ? await offsetsOf(link, topic, EARLIEST) : [];
    const marks = found.map((mark, partition) => (mark < 0 ? (first[partition] ?? 0) : mark));
    at(written, group).set(topic, marks);
    return higher(marks, waiting.get(group)?.get(topic) ?? []).slice(0, marks.length);
  };

  const write = async (group: string): Promise<void> => {
    const marks = [...at(waiting, group)];
    if (marks.length === 0) return;
    const topics = [];
    for (const [topic, positions] of marks) {
      const known = at(written, group).get(topic) ?? (await begin(topic, group));
      const newest = higher(known, positions);
      const partitions = newest.map((offset, partition) => ({ partition, offset: String(offset) }));
      topics.push({ topic, partitions });
    }
    const coordinator = await link.coordinator(nameOf(group));
    await coordinator.offsetCommit({
      groupId: nameOf(group),
      groupGenerationId: -1,
      memberId: '',
      retentionTime: '-1',
      topics,
    });
    for (const [topic, positions] of marks) {
      at(written, group).set(topic, higher(at(written, group).get(topic) ?? [], positions));
      if (at(waiting, group).get(topic) === positions) at(waiting, group).delete(topic);
    }
  };

  const flush = async (group: string): Promise<boolean> => {
    timers.delete(group);
    const scope = `group ${nameOf(group)}`;
    try {
      await write(group);
      health.worked(scope);
      return true;
    } catch (error) {
      link.doubtCoordinator(nameOf(group));
      health.failed(scope, error);
      return false;
    }
  };

  const schedule = (group: string, ms: number): void => {
    if (timers.has(group)) return;
    const work = async (): Promise<void> => {
      const worked = await flush(group);
      if (!worked || at(waiting, group).size > 0) schedule(group, worked ? MARKS_MS : AGAIN_MS);
    };
    const timer = setTimeout(() => {
      writing = writing.then(work);
    }, ms);
    timers.set(group, timer);
  };

  return {
    begin,
    commit: (topic, group, positions) => {
      const known = at(waiting, group).get(topic) ?? [];
      at(waiting, group).set(topic, higher(known, positions));
      schedule(group, MARKS_MS);
    },
    close: async () => {
      for (const timer of timers.values()) clearTimeout(timer);
      await writing;
      for (const timer of timers.values()) clearTimeout(timer);
      await Promise.all([...waiting.keys()].map(flush));
    },
  };
};
