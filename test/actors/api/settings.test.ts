import { expect, test } from 'vitest';
import { check } from '#actors/api/check.ts';
import { config } from '#actors/api/config.ts';
import { stagesIn } from '#actors/api/exposition.ts';
import { isLoopback } from '#actors/api/loopback.ts';
import type { TopologyView } from '#runtime/topology/view.ts';

const topology = (settings: object, branches: readonly string[]): TopologyView => ({
  file: 'x.yaml',
  node: { name: 'x', dataDir: 'data' },
  genesis: { create: true, file: '', sha256: '' },
  database: { url: 'embedded' },
  sections: {},
  actors: [
    ...branches.flatMap((branch) =>
      ['replica', 'executor'].map((actor) => ({
        ...{ path: `${branch}.${actor}`, name: actor, actor, branch: [branch], config: {} },
        thread: `${branch}.replica`,
      })),
    ),
    {
      ...{ path: 'api', name: 'api', actor: 'api', branch: [], thread: 'api' },
      config: config.parse(settings),
    },
  ],
});
const FOUR = ['v1', 'v2', 'v3', 'v4'];

test('the defaults fit the local topology', () => {
  expect(config.parse({})).toMatchObject({ host: '127.0.0.1', port: 9441, from: 'v1' });
  expect(check(topology({}, FOUR))).toEqual([]);
});

test('an address that others can reach is refused with the remedy', () => {
  for (const host of ['0.0.0.0', '::', '192.168.1.5', 'example.org', '127.0.0.1.example.org']) {
    const [problem, ...others] = check(topology({ host }, FOUR));
    expect(others).toEqual([]);
    expect(problem).toEqual({
      path: 'api.config.host',
      message: `the API has no authentication yet and listens on loopback only: use 127.0.0.1, ::1 or localhost, not ${host}`,
    });
  }
});

test('loopback is 127.0.0.0/8, ::1 and localhost', () => {
  expect(['127.0.0.1', '127.9.9.9', '::1', '[::1]', 'LOCALHOST'].map(isLoopback)).toEqual(
    Array(5).fill(true),
  );
});

test('a branch that is not there is named, with those that are', () => {
  const problems = check(topology({ from: 'v7', validators: ['v1', 'v8'] }, ['v1', 'v2']));
  expect(problems).toEqual([
    { path: 'api.config.from', message: 'no branch v7 with an executor; there are v1, v2' },
    { path: 'api.config.validators.1', message: 'no branch v8 with a replica; there are v1, v2' },
  ]);
});

test('a node without validators names none', () => {
  expect(check(topology({}, []))).toEqual([]);
});

test('the stages are the counters of the actors that count them, the furthest of several', () => {
  const stages = stagesIn(`# TYPE cybermesh_ingest_stage_admitted_total counter
cybermesh_ingest_stage_admitted_total{actor="v1.ingest"} 7
cybermesh_ingest_stage_admitted_total{actor="v2.ingest"} 9
cybermesh_enforcer_stage_acked_total{actor="enforcer"} 1e+21
cybermesh_other_stage_flows_total{actor="other"} 5
cybermesh_ingest_mempool{actor="v1.ingest"} 3
`);
  expect(stages).toEqual({
    ...{ flows: 0, vectors: 0, detections: 0, published: 0, admitted: 9, rejected: 0 },
    ...{ committed: 0, policies: 0, applied: 0, acked: 1e21 },
  });
});
