/**
 * The order in which vitest starts test files. In a fresh checkout it knows no durations and goes by size: a file that takes
 * a minute then starts last, and one processor waits for it. What is known to take long starts first here.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { BaseSequencer, type TestSpecification } from 'vitest/node';
import { ROOT } from './processes.ts';

/** From the longest on: what takes more than some ten seconds of a quiet machine with two processors. */
const LONG = [
  'integration/cluster',
  'integration/kill',
  'integration/kill9',
  'integration/full-disk',
  'integration/packet-to-drop',
  'integration/kafka-cluster',
  'integration/kafka',
  'integration/package',
  'integration/consensus',
  'integration/bad-input',
  'integration/firewall/packets',
  'integration/persistence/node',
  'integration/command-line',
  'integration/kafka-middle',
  'integration/decisions',
  'integration/flow-table-node',
  'integration/captures',
  'integration/pipeline',
  'integration/validators',
  'integration/redis-faults',
  'integration/kafka-faults',
  'integration/flow-table',
  'integration/firewall/upkeep',
  'integration/full-disk-servers',
  'integration/inside',
  'integration/kafka-node',
  'runtime/terminations',
  'runtime/spares',
  'runtime/restarts',
  'runtime/crash-matrix',
  'runtime/semantics/deliver',
  'simulation/seeds',
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
