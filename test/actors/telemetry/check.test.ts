import { expect, test } from 'vitest';
import { check } from '#actors/telemetry/check.ts';
import { config } from '#actors/telemetry/config.ts';
import type { TopologyView } from '#runtime/topology/view.ts';

const topology = (source: object): TopologyView => ({
  file: '/etc/cybermesh.yaml',
  node: { name: 'n', dataDir: '/tmp/n' },
  genesis: { create: true, file: '', sha256: '' },
  database: { url: 'embedded' },
  sections: {},
  actors: [
    {
      path: 'detection.telemetry',
      name: 'telemetry',
      actor: 'telemetry',
      branch: ['detection'],
      config: config.parse({ source }),
      thread: 'detection.telemetry',
    },
  ],
});

test('a source that is not there is found before the start, at its setting', () => {
  expect(check(topology({ kind: 'pcap', path: '/nowhere/x.pcap' }))).toEqual([
    {
      path: 'detection.telemetry.config.source.path',
      message: '/nowhere/x.pcap does not exist: give the path of a file or folder',
    },
  ]);
});

test('sources that need no file pass', () => {
  expect(check(topology({ kind: 'none' }))).toEqual([]);
  expect(check(topology({ kind: 'synthetic' }))).toEqual([]);
});

test.each([
  [{ kind: 'pcap' }],
  [{ kind: 'flows' }],
  [{ kind: 'synthetic', path: 'x.pcap' }],
  [{ kind: 'pcap', path: 'x.pcap', seed: 1 }],
  [{ kind: 'live' }],
])('settings that do not belong to the source are refused: %j', (source) => {
  expect(config.safeParse({ source }).success).toBe(false);
});
