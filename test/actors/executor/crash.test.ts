/** An executor that crashes anywhere ends where one that never does: nothing lost, nothing twice. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blockOf, decodeCommittedList } from '#proto/consensus/committed.ts';
import { build, commit, execute, genesisParent, headOf, parentIn } from '#test/kit/chain-driver.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';
import {
  type Answer,
  type ExecutorHost,
  executorHost,
  freshFolder,
} from '#test/kit/executor-host.ts';
import { anomalyTx } from '#test/kit/messages.ts';

const SEED = 20_261_121;
const genesis = testGenesis();

/** What happens to the commit of a block. */
const fate = fc.constantFrom('stored', 'crash-before', 'crash-after', 'asked-twice');

const everything = (host: ExecutorHost) => {
  const read = { kind: 'read', fromHeight: 1, maxBlocks: 1000, maxBytes: 1e8, waitMs: 0 };
  const blocks = decodeCommittedList(host.ask(read)?.blocks as Uint8Array);
  return blocks.map((one) => [blockOf(one).header.height, blockOf(one).header.stateRoot]);
};

/** The chain as it should be: each block holds one anomaly, and one more block certifies the last. */
const chainOf = (host: ExecutorHost, length: number): readonly Answer[] => {
  const blocks: Answer[] = [];
  for (let n = 0; n <= length; n++) {
    const last = blocks.at(-1);
    const parent = last === undefined ? genesisParent(host) : parentIn(last);
    const txs = n < length ? [anomalyTx({ flows: n }, { counter: n })] : [];
    blocks.push(build(host, parent, txs));
  }
  for (let n = 0; n < length; n++) commit(host, blocks[n] as Answer, blocks[n + 1] as Answer);
  return blocks;
};

test('whatever crashes when, the chain is the one of an executor that never does', async () => {
  const steady = await executorHost(freshFolder(), genesis);
  const blocks = chainOf(steady, 8);
  const property = fc.asyncProperty(
    fc.array(fate, { minLength: 8, maxLength: 8 }),
    async (fates) => {
      const folder = freshFolder();
      let host = await executorHost(folder, genesis);
      const restart = async (): Promise<void> => {
        host.close();
        host = await executorHost(folder, genesis);
      };
      for (const [n, what] of fates.entries()) {
        const [block, next] = [blocks[n] as Answer, blocks[n + 1] as Answer];
        expect(execute(host, block)).toMatchObject({ ok: true });
        if (what === 'crash-before') {
          host.storing = false;
          commit(host, block, next);
          await restart();
          expect(headOf(host).height).toBe(n);
          expect(execute(host, block)).toMatchObject({ ok: true });
        }
        expect(commit(host, block, next)).toMatchObject({ ok: true, height: n + 1 });
        if (what === 'asked-twice') expect(commit(host, block, next)).toMatchObject({ ok: true });
        if (what === 'crash-after') {
          await restart();
          expect(commit(host, block, next)).toMatchObject({ ok: true, height: n + 1 });
        }
      }
      expect(headOf(host)).toEqual(headOf(steady));
      expect(everything(host)).toEqual(everything(steady));
      host.close();
    },
  );
  await fc.assert(property, { seed: SEED, numRuns: 12 });
  steady.close();
}, 60_000);
