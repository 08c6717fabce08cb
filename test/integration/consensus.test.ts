import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeTransactions, type Transaction } from '#proto/consensus/transaction.ts';
import { encodeAnomaly } from '#proto/wire/anomaly.ts';
import { anomalyOf } from '#test/kit/messages.ts';
import { openProxy, type TcpProxy } from '#test/kit/proxy.ts';
import { type TestSystem, testSystem, until } from '#test/kit/system.ts';
import {
  freePlaces,
  type Places,
  prepareValidators,
  VALIDATORS,
  type ValidatorName,
  validator,
} from '#test/kit/validators.ts';

const mempool = new URL('./fixtures/mempool.ts', import.meta.url);
const AGREE_MS = 30_000;
const BOOT_MS = 60_000;
let dataDir = '';
const running = new Map<ValidatorName, TestSystem>();
/** In front of each validator, all the while. */
const proxies = new Map<ValidatorName, TcpProxy>();
let listen: Places;
let dial: Places;
let settings: ReturnType<typeof prepareValidators>;

/** One committee for all tests: each leaves it as it was, four that run and agree. */
beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'cybermesh-consensus-'));
  listen = await freePlaces();
  for (const name of VALIDATORS) proxies.set(name, await openProxy(listen[name]));
  dial = Object.fromEntries([...proxies].map(([name, { port }]) => [name, port])) as Places;
  settings = prepareValidators(dataDir);
  await Promise.all(VALIDATORS.map(boot));
}, BOOT_MS);
afterAll(async () => {
  await Promise.all([...running.values()].map((system) => system.stop()));
  for (const proxy of proxies.values()) await proxy.close();
  rmSync(dataDir, { recursive: true, force: true });
}, BOOT_MS);

/** Each validator is a system of its own, so that one can be stopped and started again with its folder. */
const boot = async (name: ValidatorName): Promise<void> => {
  const branch = validator(name, listen, { dial, ingest: mempool });
  running.set(name, await testSystem([branch], { dataDir, node: settings }));
};
const halt = async (name: ValidatorName): Promise<void> => {
  await running.get(name)!.stop();
  running.delete(name);
};
const root = (name: ValidatorName) => running.get(name)?.fact(`${name}.executor`, 'state_root');

/** All of them have one state root, and not the one before. */
const agree = (of: readonly ValidatorName[], before?: string): Promise<string> =>
  until(() => {
    const [first, ...rest] = of.map(root);
    const same = first !== undefined && first !== before && rest.every((one) => one === first);
    return same && first;
  }, AGREE_MS);

/** All agree, and nothing of what was submitted before is still on its way: their common state root. */
const settled = (): Promise<string> =>
  until(async () => {
    const before = await agree(VALIDATORS);
    await pause(1000);
    return (await agree(VALIDATORS)) === before && before;
  }, AGREE_MS);

let counter = 0;
const transaction = (): Transaction => {
  counter += 1;
  const payload = { src_ip: `198.51.100.${counter % 250}`, flows: counter };
  return {
    kind: 'anomaly',
    bytes: encodeAnomaly(anomalyOf(payload, { tsMs: Date.now(), counter })),
  };
};
const submit = (to: ValidatorName, count = 1): void => {
  const folder = join(dataDir, 'transactions', to);
  mkdirSync(folder, { recursive: true });
  const bytes = encodeTransactions([...Array(count)].map(transaction));
  const name = `${Date.now()}-${counter}`;
  writeFileSync(join(folder, `${name}.part`), bytes);
  renameSync(join(folder, `${name}.part`), join(folder, `${name}.tx`));
};
const views = async (name: ValidatorName): Promise<number> => {
  const numbers = running.get(name)!.metrics().actors;
  const replica = numbers.find((one) => one.path === `${name}.replica`);
  return replica?.gauges.consensus_view ?? 0;
};

test('four validators over libp2p commit what one of them was given, and are then silent', async () => {
  submit('v2', 3);
  await agree(VALIDATORS);
  const now = async (): Promise<string> => (await Promise.all(VALIDATORS.map(views))).join(' ');
  const quiet = await until(async () => {
    const before = await now();
    await pause(1000);
    return (await now()) === before && before;
  }, AGREE_MS);
  await pause(2000);
  expect(await now()).toBe(quiet);
});

test('one of four stopped: commits go on; back: it catches up and its root is equal', async () => {
  const first = await settled();
  await halt('v4');
  let last = first;
  for (let k = 0; k < 5; k++) {
    submit('v1', 2);
    last = await agree(['v1', 'v2', 'v3'], last);
  }
  await boot('v4');
  last = await agree(VALIDATORS, first);
  submit('v4');
  await agree(VALIDATORS, last);
});

test('two of four stopped: nothing commits, nothing forks; with one back it goes on', async () => {
  const last = await settled();
  await halt('v3');
  await halt('v4');
  submit('v1');
  await pause(3000);
  expect([root('v1'), root('v2')]).toEqual([last, last]);
  await boot('v3');
  await agree(['v1', 'v2', 'v3'], last);
  await boot('v4');
  await agree(VALIDATORS, last);
});

test('validators meet over libp2p only: cut between them, commits stop, and go on when it heals', async () => {
  const last = await settled();
  for (const proxy of proxies.values()) proxy.cut();
  for (const name of VALIDATORS) submit(name);
  await pause(3000);
  expect(VALIDATORS.map(root)).toEqual([last, last, last, last]);
  for (const proxy of proxies.values()) proxy.heal();
  await agree(VALIDATORS, last);
  expect([...proxies.values()].every((proxy) => proxy.carried() > 0)).toBe(true);
});

test('a replica whose thread is terminated goes on from its record, and nothing forks', async () => {
  let last = await settled();
  for (const name of VALIDATORS) {
    submit(name, 2);
    await running.get(name)!.kill(`${name}.replica`);
    last = await agree(VALIDATORS, last);
  }
});
