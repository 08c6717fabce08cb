import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { config } from '#actors/persistence/config.ts';
import type { Self } from '#actors/persistence/core.ts';
import { io } from '#actors/persistence/io.ts';
import type { IoPort } from '#runtime/actor.ts';
import { prepareValidators } from '#test/kit/validators.ts';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'cybermesh-persistence-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test('stopped while the database still opens it closes in peace: nobody hears the result', async () => {
  const dataDir = path.join(folder, 'persistence');
  mkdirSync(dataDir);
  let stopped = false;
  const heard: Self[] = [];
  const port: Pick<
    IoPort<Self>,
    'deliver' | 'path' | 'dataDir' | 'node' | 'now' | 'log' | 'emit' | 'gauge' | 'native'
  > = {
    deliver: (message) => !stopped && heard.push(message) > 0,
    path: 'persistence',
    dataDir,
    node: prepareValidators(folder),
    now: Date.now,
    log: () => undefined,
    emit: () => undefined,
    gauge: () => undefined,
    native: (call) => call(),
  };
  const adapter = await io(config.parse({ from: 'v1' }), port as IoPort<Self>);
  const opening = Promise.resolve(adapter.commands.open(null));
  stopped = true;
  await expect(Promise.all([adapter.close?.(), opening])).resolves.toBeDefined();
  expect(heard).toEqual([]);
});
