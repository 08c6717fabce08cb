/**
 * The order in which vitest starts test files. In a fresh checkout it knows no durations and goes by size: a file that takes
 * a minute then starts last, and one processor waits for it. What is known to take long starts first here.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { ROOT } from './processes.ts';

/**
 * What takes more than some ten seconds of a quiet machine with two processors: the longest first, and beside those that
 * keep both processors busy (whole nodes) one that mostly waits (firewalls, brokers).
 */
const LONG = [
  'integration/firewall/packets',
  'integration/firewall/upkeep',
  'integration/cluster',
  'integration/kill',
  'integration/kafka-middle',
  'integration/kafka-faults',
  'integration/redis-faults',
  'integration/kill9',
  'integration/full-disk',
  'integration/consensus',
  'integration/packet-to-drop',
  'integration/kafka',
  'integration/captures',
  'integration/persistence/node',
  'integration/validators',
  'integration/full-disk-servers',
  'integration/flow-table-node',
  'integration/package',
  'integration/kafka-cluster',
  'integration/bad-input',
  'integration/decisions',
  'integration/command-line',
  'integration/pipeline',
  'integration/kafka-node',
  'integration/flow-table',
  'integration/inside',
  'runtime/terminations',
  'runtime/crash-matrix',
  'runtime/restarts',
  'simulation/seeds',
  'runtime/spares',
  'runtime/semantics/deliver',
  'runtime/supervision',
  'runtime/messages',
].map((name) => path.join(ROOT, 'test', `${name}.test.ts`));

const absent = LONG.filter((file) => !existsSync(file));
if (absent.length > 0) throw new Error(`test/kit/longest-first.ts names ${absent.join(', ')}`);

const rankOf = ({ moduleId }: TestSpecification): number => {
  const rank = LONG.indexOf(moduleId);
  return rank === -1 ? LONG.length : rank;
};

/** Groups of files are kept apart by vitest itself, in whatever order their files come. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files);
    return sorted.toSorted((one, other) => rankOf(one) - rankOf(other));
  }
}
