import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crypto } from '#native/crypto.ts';
import { fromHex, hex, utf8 } from '#proto/bytes.ts';
import { decodeContext } from '#proto/chain-context.ts';
import { blockOf, decodeCommittedList } from '#proto/consensus/committed.ts';
import type { Header } from '#proto/consensus/header.ts';
import { decodeProof, verifyProof } from '#proto/merkle.ts';
import { anchorBytes } from '#test/kit/chain.ts';
import {
  blockIn,
  build,
  commit,
  execute,
  genesisParent,
  headOf,
  parentIn,
} from '#test/kit/chain-driver.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import {
  type Answer,
  type ExecutorHost,
  executorHost,
  freshFolder,
} from '#test/kit/executor-host.ts';
import { anomalyOf, anomalyTx, garbageTx } from '#test/kit/messages.ts';

const genesis = testGenesis();
const SEED = 20_261_120;

const anomalies = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) =>
    anomalyTx({ src_ip: `198.51.100.${(from + n) % 250}`, flows: from + n }, { counter: from + n }),
  );

test('a new chain has its genesis as head', async () => {
  const host = await executorHost(freshFolder(), genesis);
  const head = headOf(host);
  expect(head.height).toBe(0);
  const context = host.ask({ kind: 'context' });
  expect(decodeContext(context?.bytes as Uint8Array)).toMatchObject({ chainId: 'test', height: 0 });
  host.close();
});

test('what one builds another executes, and both commit to the same root', async () => {
  const one = await executorHost(freshFolder(), genesis);
  const two = await executorHost(freshFolder(), genesis);
  const first = build(one, genesisParent(one), anomalies(1, 5));
  const second = build(one, parentIn(first), []);
  for (const block of [first, second]) expect(execute(two, block)).toMatchObject({ ok: true });
  expect(commit(one, first, second)).toEqual({ ok: true, height: 1, reason: '' });
  expect(commit(two, first, second)).toEqual({ ok: true, height: 1, reason: '' });
  expect(headOf(one)).toEqual(headOf(two));
  for (const host of [one, two]) host.close();
});

test('a commit is answered, announced and readable only when it is on disk', async () => {
  const host = await executorHost(freshFolder(), genesis);
  const first = build(host, genesisParent(host), anomalies(1, 2));
  const second = build(host, parentIn(first), []);
  const read = { kind: 'read', fromHeight: 1, maxBlocks: 10, maxBytes: 1e6, waitMs: 5000 };
  expect(host.ask(read)).toBeUndefined();
  host.effects();
  host.storing = false;
  expect(commit(host, first, second)).toBeUndefined();
  expect(headOf(host).height).toBe(0);
  expect(host.effects()).toEqual([]);
  host.storing = true;
  host.flush();
  expect(headOf(host).height).toBe(1);
  const told = host.effects().filter((one) => one.effect === 'tell');
  expect(told).toEqual([
    {
      effect: 'tell',
      to: 'ingest',
      message: expect.objectContaining({ kind: 'included', height: 1 }),
    },
  ]);
  host.close();
});

test('an invalid block is refused, whoever proposes it', async () => {
  const host = await executorHost(freshFolder(), genesis);
  expect(build(host, { ...genesisParent(host), hash: new Uint8Array(32) }, [])).toMatchObject({
    ok: false,
    reason: 'unknown-parent',
  });
  const answer = host.ask({ kind: 'execute', hash: new Uint8Array(32), block: utf8('x') });
  expect(answer).toMatchObject({ ok: false, reason: 'block-malformed' });
  host.close();
});

test('a builder leaves out what is wrong and says so to ingest', async () => {
  const host = await executorHost(freshFolder(), genesis);
  host.effects();
  const first = build(host, genesisParent(host), [garbageTx, ...anomalies(1, 1)]);
  expect(blockIn(first).header.txCount).toBe(1);
  const told = host.effects().filter((one) => one.effect === 'tell');
  expect(told).toMatchObject([{ message: { kind: 'refused', reasons: ['malformed'] } }]);
  host.close();
});

test('a block is committed once, however often it is asked for', async () => {
  const host = await executorHost(freshFolder(), genesis);
  const first = build(host, genesisParent(host), anomalies(1, 2));
  const second = build(host, parentIn(first), []);
  commit(host, first, second);
  expect(commit(host, first, second)).toEqual({ ok: true, height: 1, reason: '' });
  const read = { kind: 'read', fromHeight: 0, maxBlocks: 10, maxBytes: 1e6, waitMs: 0 };
  const blocks = decodeCommittedList(host.ask(read)?.blocks as Uint8Array);
  expect(blocks.map((block) => blockOf(block).header.height)).toEqual([1]);
  host.close();
});

test('a proof of another block, of a lower one, or none is refused', async () => {
  const host = await executorHost(freshFolder(), genesis);
  const first = build(host, genesisParent(host), []);
  const second = build(host, parentIn(first), []);
  const third = build(host, parentIn(second), []);
  const other = build(host, parentIn(first), anomalies(1, 1), 2);
  const reasonFor = (block: Answer, proof: Uint8Array) =>
    host.ask({ kind: 'commit', hash: parentIn(block).hash, proof })?.reason;
  const ofSecond = anchorBytes(blockIn(second).header, blockIn(third).header);
  expect(reasonFor(third, ofSecond)).toBe('proof-below');
  expect(reasonFor(other, ofSecond)).toBe('proof-of-another');
  expect(reasonFor(first, utf8('none'))).toBe('bad-proof');
  expect(reasonFor(first, ofSecond)).toBe('');
  host.close();
});

test('a commit takes the uncommitted ancestors with it, oldest first, and forgets the other forks', async () => {
  const host = await executorHost(freshFolder(), genesis);
  const first = build(host, genesisParent(host), anomalies(1, 2));
  const fork = build(host, genesisParent(host), anomalies(10, 1), 3);
  const second = build(host, parentIn(first), anomalies(3, 2));
  const third = build(host, parentIn(second), []);
  expect(commit(host, second, third)).toMatchObject({ ok: true, height: 2 });
  expect(build(host, parentIn(fork), [])).toMatchObject({ reason: 'unknown-parent' });
  const late = host.ask({
    kind: 'commit',
    hash: parentIn(fork).hash,
    proof: anchorBytes(blockIn(fork).header, blockIn(fork).header),
  });
  expect(late).toMatchObject({ ok: false, reason: 'unknown-block' });
  host.close();
});

test('commits that arrive while the disk is busy are stored together, and answered oldest first', async () => {
  const host = await executorHost(freshFolder(), genesis);
  const blocks = [build(host, genesisParent(host), anomalies(0, 1))];
  for (let n = 1; n < 6; n++) blocks.push(build(host, parentIn(blocks[n - 1]!), anomalies(n, 1)));
  host.storing = false;
  for (let n = 0; n < 5; n++) expect(commit(host, blocks[n]!, blocks[n + 1]!)).toBeUndefined();
  host.flush();
  expect(headOf(host).height).toBe(1);
  expect(host.state.chain?.storing?.line.map((one) => one.header.height)).toEqual([2, 3, 4, 5]);
  host.flush();
  expect(headOf(host).height).toBe(5);
  const read = { kind: 'read', fromHeight: 1, maxBlocks: 10, maxBytes: 1e6, waitMs: 0 };
  host.storing = true;
  const stored = decodeCommittedList(host.ask(read)?.blocks as Uint8Array);
  expect(stored.map((one) => blockOf(one).header.height)).toEqual([1, 2, 3, 4, 5]);
  host.close();
});

test('a restart gives back the head, the state and the old versions', async () => {
  const folder = freshFolder();
  const before = await executorHost(folder, genesis);
  let parent = build(before, genesisParent(before), anomalies(1, 3));
  for (let n = 1; n < 6; n++) {
    const next = build(before, parentIn(parent), anomalies(n * 10, 3));
    commit(before, parent, next);
    parent = next;
  }
  const key = `anomalies/${anomalyOf({ src_ip: '198.51.100.1', flows: 1 }).id}`;
  const questions = [
    { kind: 'head' },
    { kind: 'known', ids: [anomalyOf({ src_ip: '198.51.100.1', flows: 1 }).contentHash] },
    ...[0, 1, 3, 5].map((height) => ({ kind: 'state', key, height })),
    { kind: 'read', fromHeight: 1, maxBlocks: 100, maxBytes: 1e7, waitMs: 0 },
  ];
  const answers = questions.map((one) => before.ask(one));
  before.close();
  const after = await executorHost(folder, genesis);
  expect(questions.map((one) => after.ask(one))).toEqual(answers);
  const next = build(after, { hash: headOf(after).hash, header: lastHeader(after) }, []);
  expect(next.ok).toBe(true);
  after.close();
});

const lastHeader = (host: ExecutorHost): Header => {
  const read = { kind: 'read', fromHeight: 5, maxBlocks: 1, maxBytes: 1, waitMs: 0 };
  const [last] = decodeCommittedList(host.ask(read)?.blocks as Uint8Array);
  if (last === undefined) throw new Error('no block');
  return blockOf(last).header;
};

test('a crash between the answer and the next block loses nothing and repeats nothing', async () => {
  const folder = freshFolder();
  const before = await executorHost(folder, genesis);
  const first = build(before, genesisParent(before), anomalies(1, 3));
  const second = build(before, parentIn(first), anomalies(4, 3));
  before.storing = false;
  commit(before, first, second);
  before.close(); // the append never reached the disk
  const after = await executorHost(folder, genesis);
  expect(headOf(after).height).toBe(0);
  expect(execute(after, first)).toMatchObject({ ok: true });
  expect(commit(after, first, second)).toMatchObject({ ok: true, height: 1 });
  after.close();
});

test('a data folder of another chain is refused', async () => {
  const folder = freshFolder();
  const host = await executorHost(folder, genesis);
  const first = build(host, genesisParent(host), []);
  commit(host, first, build(host, parentIn(first), []));
  host.close();
  await expect(executorHost(folder, testGenesis({ blockTxMax: 7 }))).rejects.toThrow('belongs to');
});

test('a data folder without a block takes another genesis: no more than a file was read', async () => {
  const folder = freshFolder();
  (await executorHost(folder, genesis)).close();
  const other = await executorHost(folder, testGenesis({ blockTxMax: 7 }));
  expect(other.ask({ kind: 'head' })).toMatchObject({ height: 0 });
  other.close();
});

test('state is proven at the head and at older heights; beyond the horizon there is no root', async () => {
  const host = await executorHost(freshFolder(), genesis, { horizonBlocks: 16 });
  let parent = build(host, genesisParent(host), anomalies(1, 1));
  for (let n = 1; n <= 20; n++) {
    const next = build(host, parentIn(parent), []);
    commit(host, parent, next);
    parent = next;
  }
  const key = `anomalies/${anomalyOf({ src_ip: '198.51.100.1', flows: 1 }).id}`;
  for (const height of [0, 20, 5]) {
    const answer = host.ask({ kind: 'state', key, height }) as {
      value: Uint8Array;
      proof: Uint8Array;
      root: Uint8Array;
    };
    const proof = decodeProof(answer.proof);
    expect(proof.ok && verifyProof(answer.root, key, answer.value, proof.value, crypto)).toBe(true);
  }
  const gone = host.ask({ kind: 'state', key, height: 4 });
  expect(gone).toMatchObject({ found: false, root: new Uint8Array(32) });
  host.close();
});

test('a long poll is answered by the next commit or by its deadline', async () => {
  const host = await executorHost(freshFolder(), genesis);
  const read = { kind: 'read', fromHeight: 1, maxBlocks: 10, maxBytes: 1e6, waitMs: 500 };
  expect(host.ask(read)).toBeUndefined();
  const timer = host.effects().find((one) => one.effect === 'after');
  expect(timer).toMatchObject({ delayMs: 500, message: { kind: 'readDue', id: 1 } });
  host.tell({ kind: 'readDue', id: 1 });
  expect(host.state.chain?.reads.size).toBe(0);
  host.close();
});

test('forks beyond the bound push out the oldest that nothing needs', async () => {
  const host = await executorHost(freshFolder(), genesis, { forksMax: 4 });
  const parent = genesisParent(host);
  const forks = [0, 1, 2, 3, 4, 5].map((skip) => build(host, parent, [], skip));
  expect(host.state.chain?.executed.size).toBe(4);
  expect(build(host, parentIn(forks[0] as Answer), [])).toMatchObject({ reason: 'unknown-parent' });
  expect(build(host, parentIn(forks[5] as Answer), [])).toMatchObject({ ok: true });
  host.close();
});

test('two executors that see random forks in random order agree on every root', async () => {
  const plan = fc.array(
    fc.record({
      parent: fc.nat({ max: 20 }),
      from: fc.nat({ max: 30 }),
      count: fc.nat({ max: 4 }),
      commits: fc.boolean(),
    }),
    { minLength: 1, maxLength: 12 },
  );
  await fc.assert(
    fc.asyncProperty(plan, async (steps) => {
      const one = await executorHost(freshFolder(), genesis);
      const two = await executorHost(freshFolder(), genesis);
      const blocks: Answer[] = [];
      for (const [n, step] of steps.entries()) {
        const head = headOf(one);
        const live = blocks.filter((block) => blockIn(block).header.height > head.height);
        const on = live[step.parent % (live.length + 1)];
        const committed = blocks.find((block) => hex(parentIn(block).hash) === hex(head.hash));
        const parent =
          on !== undefined
            ? parentIn(on)
            : committed !== undefined
              ? parentIn(committed)
              : genesisParent(one);
        const built = build(one, parent, anomalies(step.from, step.count), n);
        if (built.ok !== true) continue;
        expect(execute(two, built)).toMatchObject({
          ok: true,
          stateRoot: fromHex(blockIn(built).header.stateRoot),
        });
        blocks.push(built);
        if (!step.commits) continue;
        const child = build(one, parentIn(built), []);
        execute(two, child);
        expect(commit(two, built, child)).toEqual(commit(one, built, child));
        expect(headOf(two)).toEqual(headOf(one));
      }
      one.close();
      two.close();
    }),
    { seed: SEED, numRuns: 15 },
  );
}, 60_000);
