/** A hand on the brake from outside: the agent lets go at once, says so, and takes hold again. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { hands } from '#actors/enforcer/brake.ts';
import { config } from '#actors/enforcer/config.ts';
import { auditFile, readPanic, startPanic } from '#actors/enforcer/panic.ts';
import type { Self } from '#actors/enforcer/state.ts';
import { writeKeyPair } from '#native/crypto.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { type Agent, agentIn } from '../../integration/firewall/agent.ts';
import { committedPolicy, genesis, updateOf } from './policies.ts';

const policy = committedPolicy();
let folder: ReturnType<typeof temporaryFolder>;
let nowMs: number;
const begin = (settings: { readonly killSwitch?: boolean } = {}): Promise<Agent> =>
  agentIn({
    dataDir: folder.path,
    genesis,
    keyFile: path.join(folder.path, 'agent.pem'),
    netns: '',
    now: () => nowMs,
    settings: { backend: 'noop', ...settings },
  });
beforeEach(() => {
  folder = temporaryFolder();
  writeKeyPair(path.join(folder.path, 'agent.pem'));
  nowMs = policy.state.committedMs + 100;
});
afterEach(() => folder.remove());

type Of<K extends Self['kind']> = Extract<Self, { kind: K }>;
const to = 0 as unknown as Of<'brake'>['replyTo'];
const pull: Self = { kind: 'brake', lastsS: 60, by: 'somebody', reason: 'lockout', replyTo: to };
const release: Self = { kind: 'release', by: 'somebody else', replyTo: to };
const shown = async (agent: Agent) => {
  await agent.tell({ kind: 'summary', replyTo: to as never });
  const [answer] = agent.replies() as readonly { readonly json: Uint8Array }[];
  return JSON.parse(new TextDecoder().decode(answer?.json));
};

test('pulled, nothing is enforced from the answer on; released, what is committed comes back', async () => {
  const agent = await begin();
  await agent.receive(updateOf(policy));
  expect(agent.acks()).toEqual(['applied']);
  await agent.tell(pull);
  expect(agent.replies()).toEqual([{ outcome: 'done', text: '' }]);
  expect(agent.acks()).toEqual(['failed panic']);
  const untilMs = nowMs + 60_000;
  expect(await shown(agent)).toMatchObject({
    ...{ coverage: 0, byStatus: { failed: 1 } },
    brake: { code: 'panic', by: 'somebody', sinceMs: nowMs, untilMs },
  });
  // The very file that the command writes: beside the agent it ends the same brake.
  expect(readPanic(folder.path, nowMs)).toMatchObject({
    by: 'somebody',
    reason: 'lockout',
    untilMs,
  });
  await agent.tell(release);
  expect(agent.replies()).toEqual([{ outcome: 'done', text: '' }]);
  expect(agent.acks()).toEqual(['applied']);
  // What was missing is counted once more: the next comparison finds it there.
  await agent.tell({ kind: 'reconcile' });
  expect(await shown(agent)).toMatchObject({ coverage: 1, brake: null });
  const events = readFileSync(auditFile(folder.path), 'utf8').trim().split('\n');
  expect(events.map((one) => JSON.parse(one))).toMatchObject([
    { event: 'panic', by: 'somebody', reason: 'lockout', untilMs },
    { event: 'clear', backend: 'noop', error: null },
    { event: 'end', by: 'somebody else' },
  ]);
  await agent.close();
});

test('a pulled brake ends by itself when its time is over', async () => {
  const agent = await begin();
  await agent.receive(updateOf(policy));
  await agent.tell(pull);
  nowMs += 59_999;
  await agent.tell({ kind: 'tick' });
  expect(agent.acks()).toEqual(['applied', 'failed panic']);
  nowMs += 1;
  await agent.tell({ kind: 'tick' });
  expect(agent.acks()).toEqual(['applied']);
  await agent.close();
});

test('a brake of the command line is shown and released like any other', async () => {
  const agent = await begin();
  const panic = { atMs: nowMs, untilMs: nowMs + 5000, by: 'root', reason: 'x' };
  startPanic(folder.path, panic);
  await agent.tell({ kind: 'tick' });
  expect(await shown(agent)).toMatchObject({ brake: { by: 'root', untilMs: nowMs + 5000 } });
  await agent.tell(release);
  expect(agent.replies()).toEqual([{ outcome: 'done', text: '' }]);
  expect(await shown(agent)).toMatchObject({ brake: null });
  await agent.close();
});

test('the switch in the topology is stronger than a release, which says so', async () => {
  const agent = await begin({ killSwitch: true });
  await agent.tell(release);
  const text = 'killSwitch is set in the topology';
  expect(agent.replies()).toEqual([{ outcome: 'in-topology', text }]);
  await agent.tell({ kind: 'tick' });
  expect(await shown(agent)).toMatchObject({ brake: { code: 'kill-switch', untilMs: null } });
  await agent.close();
});

test('a brake that cannot be written down is not pulled, and the answer says why', async () => {
  const agent = await begin();
  await agent.receive(updateOf(policy));
  mkdirSync(auditFile(folder.path));
  await agent.tell(pull);
  expect(agent.replies()).toMatchObject([
    { outcome: 'failed', text: expect.stringMatching(/cannot be written: EISDIR/) },
  ]);
  expect(agent.acks()).toEqual(['applied']);
  expect(await shown(agent)).toMatchObject({ brake: null });
  await agent.close();
});

test('what cannot be taken away at once is said, and stands in the audit log', async () => {
  const said: Self[] = [];
  const node = { dataDir: folder.path } as never;
  const { pull: pulled } = hands(config.parse({}), {
    ...{ node, path: 'enforcer', now: () => nowMs, brake: () => undefined },
    clear: async () => ({ code: 'rejected', reason: 'nft: busy' }),
    deliver: (message) => void said.push(message),
  });
  await pulled({ lastsMs: 1000, by: 'x', reason: 'y', replyTo: to });
  expect(said).toMatchObject([
    {
      kind: 'handled',
      outcome: 'failed',
      text: expect.stringMatching(/pulled.*\(rejected: nft: busy\)/),
    },
  ]);
  const events = readFileSync(auditFile(folder.path), 'utf8');
  expect(events).toMatch(/"event":"clear".*"agent":"enforcer".*"reason":"nft: busy"/);
});

test('a panic file that nobody can read holds until somebody ends it, and is shown so', async () => {
  const agent = await begin();
  writeFileSync(path.join(folder.path, 'panic.json'), 'stop!');
  await agent.tell({ kind: 'tick' });
  expect(await shown(agent)).toMatchObject({ brake: { by: 'unknown', untilMs: null } });
  await agent.tell(release);
  expect(agent.replies()).toEqual([{ outcome: 'done', text: '' }]);
  expect(await shown(agent)).toMatchObject({ brake: null });
  await agent.close();
});
