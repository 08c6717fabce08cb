/**
 * Committed marks of groups, kept by Kafka's own group coordinator. Nobody joins a group: marks are committed as those of
 * a group without members. They are written MARKS_MS after they were told, all of a group together.
 */
import { GROUP_DENIED, KafkaRefusal, kafkaTypeOf, lacking } from './faults.ts';
import { CONNECTION, type Health } from './health.ts';
import type { Link } from './link.ts';
import { EARLIEST, offsetsOf } from './offsets.ts';
import type { KafkaSettings } from './settings.ts';
import { pause, within } from './waiting.ts';

export type Marks = {
  /** Where the group begins: its mark, or the beginning of a partition that it has none for. */
  readonly begin: (topic: string, group: string) => Promise<readonly number[]>;
  readonly commit: (topic: string, group: string, positions: readonly number[]) => void;
  /** Writes what waits, once; resolves whether it worked or not. */
  readonly close: () => Promise<void>;
};

const MARKS_MS = 200;
const AGAIN_MS = 1000;
const CLOSE_MS = 2000;
const COORDINATOR_MS = 5000;
const COORDINATOR_LOOK_MS = 50;
const COORDINATOR = /COORDINATOR|GROUP_LOAD_IN_PROGRESS/;

type Pending = Map<string, readonly number[]>;

const higher = (a: readonly number[], b: readonly number[]): readonly number[] =>
  Array.from({ length: Math.max(a.length, b.length) }, (_, k) => Math.max(a[k] ?? 0, b[k] ?? 0));

type Book = {
  readonly link: Link;
  readonly settings: KafkaSettings;
  readonly health: Health;
  /** What Kafka has, as far as we know: by group, by topic. */
  readonly written: Map<string, Pending>;
  readonly waiting: Map<string, Pending>;
  readonly timers: Map<string, NodeJS.Timeout>;
  writing: Promise<unknown>;
};

const at = (marks: Map<string, Pending>, group: string): Pending => {
  const found: Pending = marks.get(group) ?? new Map();
  marks.set(group, found);
  return found;
};

const nameOf = ({ settings }: Book, group: string): string => `${settings.groupPrefix}${group}`;

/** -1 where there is none. The first use of groups on a broker makes its own topic of offsets, which takes a moment. */
const load = async (book: Book, topic: string, group: string): Promise<readonly number[]> => {
  const { link, settings } = book;
  const groupId = nameOf(book, group);
  const partitions = (await link.place(topic)).map((_, partition) => ({ partition }));
  const untilMs = settings.now() + COORDINATOR_MS;
  for (;;) {
    try {
      const coordinator = await link.coordinator(groupId);
      const { responses } = await coordinator.offsetFetch({
        groupId,
        topics: [{ topic, partitions }],
      });
      const marks = partitions.map(() => -1);
      for (const { partition, offset } of responses.flatMap((one) => one.partitions)) {
        marks[partition] = Number(offset);
      }
      return marks;
    } catch (error) {
      link.doubtCoordinator(groupId);
      const type = kafkaTypeOf(error);
      if (type === GROUP_DENIED)
        throw new KafkaRefusal(lacking(`the group ${groupId}`, type), error);
      if (!COORDINATOR.test(type) || settings.now() >= untilMs) throw error;
      await pause(COORDINATOR_LOOK_MS);
    }
  }
};

const begin = async (book: Book, topic: string, group: string): Promise<readonly number[]> => {
  const found = await load(book, topic, group);
  const first = found.includes(-1) ? await offsetsOf(book.link, topic, EARLIEST) : [];
  const marks = found.map((mark, partition) => (mark < 0 ? (first[partition] ?? 0) : mark));
  at(book.written, group).set(topic, marks);
  return higher(marks, book.waiting.get(group)?.get(topic) ?? []).slice(0, marks.length);
};

const write = async (book: Book, group: string): Promise<void> => {
  const waiting = at(book.waiting, group);
  const written = at(book.written, group);
  const marks = [...waiting];
  if (marks.length === 0) return;
  const topics = [];
  for (const [topic, positions] of marks) {
    const known = written.get(topic) ?? (await begin(book, topic, group));
    const newest = higher(known, positions);
    const partitions = newest.map((offset, partition) => ({ partition, offset: String(offset) }));
    topics.push({ topic, partitions });
  }
  const coordinator = await book.link.coordinator(nameOf(book, group));
  await coordinator.offsetCommit({
    groupId: nameOf(book, group),
    groupGenerationId: -1,
    memberId: '',
    retentionTime: '-1',
    topics,
  });
  for (const [topic, positions] of marks) {
    written.set(topic, higher(written.get(topic) ?? [], positions));
    if (waiting.get(topic) === positions) waiting.delete(topic);
  }
};

const flush = async (book: Book, group: string): Promise<boolean> => {
  book.timers.delete(group);
  const scope = `group ${nameOf(book, group)}`;
  try {
    await write(book, group);
    book.health.worked(scope);
    return true;
  } catch (error) {
    book.link.doubtCoordinator(nameOf(book, group));
    book.health.failed(kafkaTypeOf(error) === '' ? CONNECTION : scope, error);
    return false;
  }
};

const schedule = (book: Book, group: string, ms: number): void => {
  if (book.timers.has(group)) return;
  const work = async (): Promise<void> => {
    const worked = await flush(book, group);
    const again = !worked || at(book.waiting, group).size > 0;
    if (again) schedule(book, group, worked ? MARKS_MS : AGAIN_MS);
  };
  const timer = setTimeout(() => {
    book.writing = book.writing.then(work);
  }, ms);
  book.timers.set(group, timer);
};

export const openMarks = (link: Link, settings: KafkaSettings, health: Health): Marks => {
  const book: Book = {
    ...{ link, settings, health },
    written: new Map(),
    waiting: new Map(),
    timers: new Map(),
    writing: Promise.resolve(),
  };
  const stop = (): void => {
    for (const timer of book.timers.values()) clearTimeout(timer);
  };
  return {
    begin: (topic, group) => begin(book, topic, group),
    commit: (topic, group, positions) => {
      const known = at(book.waiting, group).get(topic) ?? [];
      at(book.waiting, group).set(topic, higher(known, positions));
      schedule(book, group, MARKS_MS);
    },
    close: async () => {
      stop();
      const last = async (): Promise<void> => {
        await book.writing;
        stop();
        await Promise.all([...book.waiting.keys()].map((group) => flush(book, group)));
      };
      try {
        await within(CLOSE_MS, 'the broker', last());
      } catch {
        settings.say('warn', 'closing with marks that were not written: a little is read again');
      }
    },
  };
};
