import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
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
let dataDir = '';
const running = new Map<ValidatorName, TestSystem>();

beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'cybermesh-consensus-'));
});
afterEach(async () => {
  await Promise.all([...running.values()].map((system) => system.stop()));
  running.clear();
  rmSync(dataDir, { recursive: true, force: true });
});

/** Each validator is a system of its own, so that one can be stopped and started again with its folder. */
const boot = async (name: ValidatorName, listen: Places, dial: Places = listen): Promise<void> => {
  const branch = validator(name, listen, { dial, ingest: mempool });
  running.set(name, await testSystem([branch], { dataDir, node: prepareValidators(dataDir) }));
};
const bootAll = async (listen: Places, dial: Places = listen): Promise<void> => {
  for (const name of VALIDATORS) await boot(name, listen, dial);
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

/** For what must not happen: there is nothing to wait for. */
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

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
  await bootAll(await freePlaces());
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
  const places = await freePlaces();
  await bootAll(places);
  submit('v1');
  const first = await agree(VALIDATORS);
  await halt('v4');
  let last = first;
  for (let k = 0; k < 5; k++) {
    submit('v1', 2);
    last = await agree(['v1', 'v2', 'v3'], last);
  }
  await boot('v4', places);
  last = await agree(VALIDATORS, first);
  submit('v4');
  await agree(VALIDATORS, last);
});

test('two of four stopped: nothing commits, nothing forks; with one back it goes on', async () => {
  const places = await freePlaces();
  await bootAll(places);
  submit('v1');
  const last = await agree(VALIDATORS);
  await halt('v3');
  await halt('v4');
  submit('v1');
  await pause(3000);
  expect([root('v1'), root('v2')]).toEqual([last, last]);
  await boot('v3', places);
  await agree(['v1', 'v2', 'v3'], last);
  await boot('v4', places);
  await agree(VALIDATORS, last);
});

test('validators meet over libp2p only: cut between them, commits stop, and go on when it heals', async () => {
  const places = await freePlaces();
  const proxies = new Map<ValidatorName, TcpProxy>();
  for (const name of VALIDATORS) proxies.set(name, await openProxy(places[name]));
  const dial = Object.fromEntries([...proxies].map(([name, { port }]) => [name, port])) as Places;
  try {
    await bootAll(places, dial);
    submit('v1');
    const last = await agree(VALIDATORS);
    for (const proxy of proxies.values()) proxy.cut();
    for (const name of VALIDATORS) submit(name);
    await pause(3000);
    expect(VALIDATORS.map(root)).toEqual([last, last, last, last]);
    for (const proxy of proxies.values()) proxy.heal();
    await agree(VALIDATORS, last);
    expect([...proxies.values()].every((proxy) => proxy.carried() > 0)).toBe(true);
  } finally {
    for (const proxy of proxies.values()) await proxy.close();
  }
});

test('a replica whose thread is terminated goes on from its record, and nothing forks', async () => {
  await bootAll(await freePlaces());
  let last = '';
  for (const name of VALIDATORS) {
    submit(name, 2);
    await running.get(name)!.kill(`${name}.replica`);
    last = await agree(VALIDATORS, last);
  }
});
