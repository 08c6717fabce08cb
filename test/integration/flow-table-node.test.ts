import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { TOPICS } from '#proto/wire/topics.ts';
import { chainOfValidator, fatesOf, publishedContents, topicLength } from '#test/kit/fates.ts';
import { fillScanTable } from '#test/kit/flow-table.ts';
import { giveDatabase } from '#test/kit/new-database.ts';
import {
  hasPostgres,
  NEEDS_POSTGRES,
  type PostgresServer,
  postgresServer,
} from '#test/kit/postgres.ts';
import { type Running, temporaryFolder } from '#test/kit/processes.ts';
import { until } from '#test/kit/system.ts';
import { AT_FULL_SPEED, nodeStarter, type Pace } from '#test/kit/whole-node.ts';

const SCANNERS = 60;
const RUN_MS = 150_000;
const SOURCE = 'detection.telemetry.config.source';

let server: PostgresServer;
let folder: ReturnType<typeof temporaryFolder>;
let newest: Running | undefined;

/** A whole node whose telemetry reads the table. */
const starter = async (dataDir: string): Promise<(pace: Pace) => Running> => {
  const table = {
    kind: 'postgres',
    url: server.url,
    table: 'flows',
    pollMs: 0,
    segmentRows: 2000,
  };
  const source = Object.entries(table).map(([name, value]) => `--set=${SOURCE}.${name}=${value}`);
  await giveDatabase(dataDir);
  const start = await nodeStarter({ dataDir, source, timeoutMs: RUN_MS });
  return (pace) => {
    newest = start(pace);
    return newest;
  };
};

describe.skipIf(!hasPostgres)(`a node on a table of flows ${NEEDS_POSTGRES}`, () => {
  beforeAll(async () => {
    folder = temporaryFolder('cybermesh-table-node-');
    server = await postgresServer();
    await fillScanTable(server, 'flows', SCANNERS);
  }, 120_000);
  afterAll(async () => {
    newest?.signal('SIGKILL');
    await newest?.done;
    await server.close();
    folder.remove();
  });

  test('killed with kill -9 twice in the middle, it says of the table what an undisturbed one says, each once', {
    timeout: 3 * RUN_MS,
  }, async () => {
    const calm = path.join(folder.path, 'calm');
    const undisturbed = (await starter(calm))(AT_FULL_SPEED);
    const done = await undisturbed.done;
    expect(done.code, undisturbed.output().slice(-3000)).toBe(0);
    const expected = publishedContents(calm);
    expect(expected.length).toBeGreaterThanOrEqual(SCANNERS);

    const dataDir = path.join(folder.path, 'killed');
    const start = await starter(dataDir);
    for (const share of [0.2, 0.6]) {
      const run = start({ perSecondMax: 15 });
      const enough = expected.length * share;
      await until(() => topicLength(dataDir, TOPICS.anomalies) >= enough, 90_000, 50);
      run.signal('SIGKILL');
      await run.done;
    }
    const last = start(AT_FULL_SPEED);
    expect((await last.done).code, last.output().slice(-3000)).toBe(0);
    expect(publishedContents(dataDir)).toEqual(expected);
    const { open, twice, forks, committed, published } = fatesOf(dataDir);
    expect([open, twice, forks]).toEqual([[], [], []]);
    expect(committed).toHaveLength(published.length);
    const chain = chainOfValidator(dataDir, 'v1').flatMap((block) => block.contents);
    expect(chain.toSorted()).toEqual(expected);
  });
});
