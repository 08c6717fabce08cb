import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Span } from '#runtime/trace/sightings.ts';
import { type Hop, traceTrees } from '#runtime/trace/tree.ts';
import { type LocalNode, sourceSet, startLocal } from '#test/kit/local-node.ts';
import { cybermesh, ROOT, temporaryFolder } from '#test/kit/processes.ts';
import { until } from '#test/kit/system.ts';

// One node for all tests of this file: to start one and to end it takes longer than to look into it.
let node: LocalNode | undefined;
const made = temporaryFolder();
beforeAll(async () => {
  node = await startLocal(path.join(made.path, 'data'), [
    'node.trace.ratio=1',
    ...sourceSet('synthetic'),
  ]);
});
afterAll(async () => {
  await node?.system.stop();
  made.remove();
});

/** A step of an actor of that name that handled such a message. */
const has = (spans: readonly Span[], actor: string, kind: string): boolean =>
  spans.some((span) => span.actor.endsWith(actor) && span.kind === kind);

const depthOf = (hop: Hop): number => 1 + Math.max(0, ...hop.next.map(depthOf));

/** From the packets to the acknowledgement: what each stage handles, in the words of the trace. */
const WAY = [
  ['detection.telemetry', 'read'],
  ['detection.features', 'packets'],
  ['detection.ensemble', 'batch'],
  ['detection.signer', 'detection'],
  ['bus', 'publish'],
  ['.ingest', 'fetched'],
  ['.replica', 'pending'],
  ['.replica', 'heard.proposal'],
  ['.replica', 'heard.vote'],
  ['.executor', 'commit'],
  ['.dispatch', 'blocks'],
  ['enforcer', 'fetched'],
  ['feedback', 'fetched'],
] as const;

test('a trace is one tree from the telemetry to the acknowledgement, across actors, io, the bus and libp2p', async () => {
  const { inside } = node!.system;
  const spans = await until(
    async () => {
      for (const { trace } of await inside.traces(10)) {
        const own = await inside.spansOf(trace);
        if (WAY.every(([actor, kind]) => has(own, actor, kind))) return own;
      }
      return undefined;
    },
    120_000,
    250,
  );
  const trees = traceTrees(spans);
  expect(trees).toHaveLength(1);
  const { roots } = trees[0]!;
  const began = roots.filter(({ span }) => span.parent === '');
  expect(began.map(({ span }) => `${span.actor} ${span.kind}`)).toEqual([
    'detection.telemetry read',
  ]);
  expect(depthOf(began[0]!)).toBeGreaterThan(WAY.length);
  // Each hop but the first knows how long it waited; steps of the bus stand between publisher and consumer.
  const heard = spans.filter(({ kind }) => kind === 'heard.vote');
  const byId = new Map(spans.map((span) => [span.span, span]));
  for (const { parent, actor } of heard) {
    const sender = byId.get(parent);
    expect(sender?.actor).toMatch(/\.replica$/);
    expect(sender?.actor).not.toBe(actor);
  }
}, 240_000);

/** The commands of README's section about looking inside, word by word. */
const commandsOfReadme = (): string[][] => {
  const text = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  const section = text.slice(text.indexOf('## Looking inside'));
  const block = /```sh\n([\s\S]*?)```/.exec(section)![1]!;
  return block.split('\n').flatMap((line) => {
    const words = /^node runtime ([^#]*)/.exec(line)?.[1]?.trim().split(/\s+/);
    return words === undefined ? [] : [words];
  });
};

test('what README says about looking inside works on a running node', async () => {
  const commands = commandsOfReadme();
  const names = ['console', 'top', 'trace', 'trace', 'trace', 'trace', 'inspect', 'suspend'];
  expect(commands.map(([name]) => name)).toEqual(names);
  const { dataDir, system } = node!;
  const [{ trace } = { trace: '' }] = await system.inside.traces(1);
  for (const words of commands) {
    const own = words.map((word) => (/^[0-9a-f]{8}$/.test(word) ? trace.slice(0, 8) : word));
    const done = await cybermesh([...own, '--data', dataDir], { timeoutMs: 120_000 });
    expect(done).toMatchObject({ code: 0, stderr: '' });
  }
  await system.inside.resume('enforcer');
}, 240_000);
