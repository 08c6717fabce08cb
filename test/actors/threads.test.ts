/**
 * What the thread of each actor loads before it knows its settings. Every module costs each thread time and memory: what only
 * some settings need (the client of a broker, of a server, of a cluster) is loaded by those who have them.
 */
import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ACTORS_ROOT, actorNames, partOf } from '#runtime/topology/actors.ts';
import { packagesOf } from '#test/kit/thread-imports.ts';

const manifest = new URL('../../package.json', import.meta.url);
const { dependencies } = JSON.parse(readFileSync(manifest, 'utf8')) as { dependencies: object };
const known = new Set(Object.keys(dependencies));

const LIBP2P = [...known].filter((name) => /libp2p|@multiformats/.test(name));

const NEEDS: { readonly [actor: string]: readonly string[] } = {
  api: ['cborg', 'fastify', 'rxjs', 'zod'],
  bus: ['comlink'],
  dispatch: ['cborg', 'protobufjs'],
  enforcer: ['cborg', 'protobufjs', 'zod'],
  ensemble: ['zod'],
  executor: ['cborg', 'protobufjs', 'zod'],
  features: [],
  feedback: ['protobufjs', 'zod'],
  ingest: ['cborg', 'protobufjs', 'zod'],
  math: [],
  ml: ['onnxruntime-node', 'zod'],
  persistence: ['cborg', 'pg', 'protobufjs', 'zod'],
  replica: ['cborg', 'zod', ...LIBP2P],
  rules: ['yaml', 'zod'],
  signer: ['protobufjs'],
  telemetry: ['zod'],
};

test('beside the calls of the control plane (comlink) the kernel loads no package into a thread', async () => {
  const modules = ['thread/residence', 'control/endpoint', 'thread/loading'].map(
    (name) => new URL(`../../runtime/${name}.ts`, import.meta.url),
  );
  expect(await packagesOf(modules, known)).toEqual([]);
});

test.for(actorNames(ACTORS_ROOT))(
  'the thread of %s loads only what it always needs',
  async (name) => {
    const found = await packagesOf([partOf(ACTORS_ROOT, name, 'actor')!], known);
    expect(found).toEqual(NEEDS[name]?.toSorted());
  },
);
