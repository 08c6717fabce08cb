import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeAnomaly } from '#proto/wire/anomaly.ts';
import { namedNodes, spansOf, tracesOf } from '#runtime/cli/several-nodes.ts';
import { connectControl } from '#runtime/control/control.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import { chainOfValidator } from '#test/kit/fates.ts';
import { anomalyOf } from '#test/kit/messages.ts';
import { type Running, temporaryFolder } from '#test/kit/processes.ts';
import { until } from '#test/kit/system.ts';
import {
  apiPlaces,
  dataOf,
  genesisSet,
  leaveAnomaly,
  replicaStatus,
  startValidator,
  statusText,
  type ValidatorPlace,
} from '#test/kit/validator-process.ts';
import {
  freePlaces,
  prepareValidators,
  VALIDATORS,
  type ValidatorName,
} from '#test/kit/validators.ts';

const AGREE_MS = 90_000;
let folder: ReturnType<typeof temporaryFolder>;
const running = new Map<ValidatorName, Running>();

beforeEach(() => {
  folder = temporaryFolder('cybermesh-validators-');
});
afterEach(async () => {
  for (const one of running.values()) one.signal('SIGKILL');
  await Promise.all([...running.values()].map((one) => one.done));
  running.clear();
  folder.remove();
});

const place = async (): Promise<ValidatorPlace> => {
  prepareValidators(folder.path);
  return { folder: folder.path, listen: await freePlaces(), api: await apiPlaces() };
};
const end = async (name: ValidatorName, signal: NodeJS.Signals): Promise<number | null> => {
  const one = running.get(name)!;
  one.signal(signal);
  running.delete(name);
  return (await one.done).code;
};
/** Every vote of the trace that most actors saw: from the path of who voted to the path of who heard it. */
const votesSeen = async (
  at: ValidatorPlace,
  names: readonly ValidatorName[],
): Promise<readonly (readonly [string, string])[]> => {
  const nodes = await Promise.all(names.map((name) => connectControl(dataOf(at, name))));
  try {
    const named = await namedNodes(nodes);
    const [first] = await tracesOf(named, 1);
    const spans = first === undefined ? [] : await spansOf(named, first.trace);
    const actors = new Map(spans.map(({ span, actor }) => [span, actor]));
    return spans.flatMap(({ kind, parent, actor }) =>
      kind === 'heard.vote' ? [[actors.get(parent) ?? '', actor] as const] : [],
    );
  } finally {
    for (const node of nodes) node.close();
  }
};
let counter = 0;
const anomaly = (): Uint8Array => {
  counter += 1;
  const payload = { src_ip: `198.51.100.${counter}`, flows: counter };
  return encodeAnomaly(anomalyOf(payload, { tsMs: Date.now(), counter }));
};

test('four processes begin only with a quorum of one configuration, refuse another by name, and come back from kill -9 with equal chains', async () => {
  const at = await place();
  const right = [...genesisSet(at, 'right', testGenesis()), 'node.trace.ratio=1'];
  const wrong = genesisSet(at, 'wrong', testGenesis({ blockTxMax: 499 }));
  const start = (name: ValidatorName, genesis = right): void => {
    running.set(name, startValidator(at, name, genesis));
  };
  const heights = (of: readonly ValidatorName[], least: number): Promise<boolean> =>
    until(async () => {
      const all = await Promise.all(of.map((name) => replicaStatus(at, name)));
      const [first] = all;
      return first !== undefined && first.height >= least
        ? all.every((one) => one?.height === first.height)
        : false;
    }, AGREE_MS);

  // Two of the right configuration are no quorum, the one of another does not make it one.
  await leaveAnomaly(at, 'v1', anomaly());
  start('v1');
  start('v3');
  start('v2', wrong);
  const refusal = 'validator v2: config hash differs';
  await running.get('v1')!.saw(new RegExp(refusal), AGREE_MS);
  await running.get('v3')!.saw(new RegExp(refusal), AGREE_MS);
  await running.get('v2')!.saw(/validator v1: config hash differs/, AGREE_MS);
  await until(async () => {
    const status = await replicaStatus(at, 'v1');
    return status?.genesis === `waiting: 2 of 3 have attested; ${refusal}`;
  }, AGREE_MS);
  expect(await statusText(at, 'v1')).toContain(refusal);
  expect(await replicaStatus(at, 'v1')).toMatchObject({ height: 0 });

  start('v4');
  await heights(['v1', 'v3', 'v4'], 1);
  expect((await replicaStatus(at, 'v4'))?.genesis).toContain('agreed');
  expect(await replicaStatus(at, 'v2')).toMatchObject({ height: 0 });

  // What the anomaly caused is one trace of all processes, and each vote knows whose it is.
  const votes = await until(async () => {
    const seen = await votesSeen(at, ['v1', 'v3', 'v4']);
    return new Set(seen.map(([from]) => from)).size === 3 && seen;
  });
  for (const [from, to] of votes) {
    expect(from).toMatch(/^v[134]:validator\.replica$/);
    expect(to).toMatch(/^v[134]:validator\.replica$/);
    expect(from).not.toBe(to);
  }

  // Mended, v2 catches up; nobody refuses it any longer.
  await end('v2', 'SIGTERM');
  start('v2');
  await heights(VALIDATORS, 1);
  await until(async () => (await replicaStatus(at, 'v1'))?.genesis === 'agreed', AGREE_MS);

  // One is killed; the others go on without it, and it comes back to the same chain.
  const before = (await replicaStatus(at, 'v1'))!.height;
  await end('v3', 'SIGKILL');
  expect(await end('v4', 'SIGTERM')).toBe(0);
  await leaveAnomaly(at, 'v4', anomaly());
  start('v4');
  await heights(['v1', 'v2', 'v4'], before + 1);
  start('v3');
  await heights(VALIDATORS, before + 1);
  expect((await replicaStatus(at, 'v3'))?.genesis).toBe('agreed');

  // A validator that has begun does not begin anew with another configuration.
  await end('v2', 'SIGTERM');
  const stranger = startValidator(at, 'v2', wrong);
  expect((await stranger.done).code).toBe(1);
  expect(stranger.output()).toContain('config hash differs: this data folder began with');

  for (const name of ['v1', 'v3', 'v4'] as const) expect(await end(name, 'SIGTERM')).toBe(0);
  const chains = VALIDATORS.map((name) => chainOfValidator(dataOf(at, name), 'validator'));
  const length = Math.min(...chains.map((chain) => chain.length));
  for (const chain of chains) {
    expect(chain.slice(0, length)).toEqual(chains[0]!.slice(0, length));
    expect(chain.flatMap((block) => block.anomalies)).toHaveLength(2);
  }
});
