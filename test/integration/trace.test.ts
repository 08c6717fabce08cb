import { rmSync } from 'node:fs';
import { afterAll, expect, test } from 'vitest';
import type { Span } from '#runtime/trace/sightings.ts';
import { type Hop, traceTrees } from '#runtime/trace/tree.ts';
import { type LocalNode, sourceSet, startLocal } from '#test/kit/local-node.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { until } from '#test/kit/system.ts';

let node: LocalNode | undefined;
const made = temporaryFolder();
afterAll(async () => {
  await node?.system.stop();
  rmSync(made.path, { recursive: true, force: true });
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
  node = await startLocal(`${made.path}/data`, ['node.trace.ratio=1', ...sourceSet('synthetic')]);
  const { inside } = node.system;
  const spans = await until(
    async () => {
      for (const { trace } of await inside.traces(10)) {
        const own = await inside.spansOf(trace);
        if (WAY.every(([actor, kind]) => has(own, actor, kind))) return own;
      }
      return undefined;
    },
    120_000,
    500,
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
