import { expect, test } from 'vitest';
import { quorum } from '#proto/consensus/quorum.ts';
import { formatProblem } from '#runtime/topology/document.ts';
import { type LoadOptions, loadTopology } from '#runtime/topology/load.ts';
import { actorsOf, type TopologyView } from '#runtime/topology/view.ts';
import { ROOT } from '#test/kit/processes.ts';

const view = async (name: string, options: LoadOptions = {}): Promise<TopologyView> => {
  const result = await loadTopology(`config/${name}.yaml`, { cwd: ROOT, env: {}, ...options });
  if (!result.ok) throw new Error(result.error.map(formatProblem).join('\n'));
  return result.value.view;
};
type Replica = { name: string; key: string; listen: string; peers: Record<string, string> };
const replicasOf = (topology: TopologyView): Replica[] =>
  actorsOf(topology, 'replica').map((one) => one.config as Replica);

test.each([
  ['detector', ['bus', 'telemetry', 'signer', 'feedback', 'api'], ['replica', 'enforcer']],
  ['validator', ['bus', 'replica', 'executor', 'ingest', 'dispatch', 'persistence', 'api'], []],
  ['enforcer', ['bus', 'enforcer', 'api'], ['replica', 'feedback', 'signer', 'persistence']],
])(
  'config/%s.yaml is one process of a cluster: on Kafka, its genesis pinned, its API on the loopback',
  async (name, there, absent) => {
    const topology = await view(name);
    const actors = topology.actors.map((one) => one.actor);
    expect(actors).toEqual(expect.arrayContaining(there));
    for (const one of absent) expect(actors).not.toContain(one);
    expect(topology.sections.bus).toMatchObject({ driver: 'kafka' });
    expect(topology.genesis).toMatchObject({ create: false, sha256: '0'.repeat(64) });
    expect(actorsOf(topology, 'api')[0]?.config).toMatchObject({ host: '127.0.0.1' });
  },
);

test('on a machine with one of each no two of them want the same port or folder', async () => {
  const all = await Promise.all(['detector', 'validator', 'enforcer'].map((name) => view(name)));
  const ports = all.map((one) => (actorsOf(one, 'api')[0]!.config as { port: number }).port);
  expect(new Set(ports).size).toBe(3);
  expect(new Set(all.map((one) => one.node.dataDir)).size).toBe(3);
});

test('what differs from machine to machine is set by flags, or by the environment', async () => {
  const set = [
    'validator.with.name=v3',
    'validator.with.listen=/ip4/10.0.0.3/tcp/7001',
    'validator.with.peers.v2=/dns4/validator-2/tcp/7001',
    'bus.brokers=[kafka-1:9092, kafka-2:9092]',
    `genesis.sha256=${'ab'.repeat(32)}`,
  ];
  const env = {
    CYBERMESH_VALIDATOR__WITH__NAME: 'v3',
    CYBERMESH_VALIDATOR__WITH__LISTEN: '/ip4/10.0.0.3/tcp/7001',
    CYBERMESH_VALIDATOR__WITH__PEERS__V2: '/dns4/validator-2/tcp/7001',
    CYBERMESH_BUS__BROKERS: '[kafka-1:9092, kafka-2:9092]',
    CYBERMESH_GENESIS__SHA256: 'ab'.repeat(32),
  };
  for (const options of [{ set }, { env }]) {
    const topology = await view('validator', options);
    const [replica] = replicasOf(topology);
    expect(replica).toMatchObject({ name: 'v3', listen: '/ip4/10.0.0.3/tcp/7001' });
    expect(replica?.peers).toMatchObject({ v1: '/ip4/127.0.0.1/tcp/7001' });
    expect(replica?.peers.v2).toBe('/dns4/validator-2/tcp/7001');
    for (const actor of ['ingest', 'dispatch']) {
      expect(actorsOf(topology, actor)[0]?.config).toMatchObject({ name: 'v3' });
    }
    expect(topology.sections.bus).toMatchObject({ brokers: ['kafka-1:9092', 'kafka-2:9092'] });
    expect(topology.genesis.sha256).toBe('ab'.repeat(32));
  }
});

test('config/seed.yaml runs five validators in one process, and their quorum is four', async () => {
  const replicas = replicasOf(await view('seed'));
  expect(replicas.map((one) => one.name)).toEqual(['v1', 'v2', 'v3', 'v4', 'v5']);
  for (const { name, listen, peers } of replicas) {
    expect(peers[name]).toBe(listen);
    expect(Object.keys(peers)).toHaveLength(5);
  }
  expect(quorum(replicas.length)).toBe(4);
});
