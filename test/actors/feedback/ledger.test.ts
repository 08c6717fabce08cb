/** What several agents say of one policy, put into one word. */
import { expect, test } from 'vitest';
import {
  EARLY_MAX,
  newLedger,
  sawAck,
  sawPolicy,
  settle,
  takeChanges,
} from '#actors/feedback/ledger.ts';
import { NOT_CANARY } from '#proto/wire/ack.ts';

const applied = { result: 'applied', errorCode: '' } as const;
const elsewhere = { result: 'failed', errorCode: NOT_CANARY } as const;
const failed = { result: 'failed', errorCode: 'not-enforceable' } as const;

test.each([
  ['the canary has it in force, whoever speaks last', [applied, elsewhere], 'applied'],
  ['the canary has it in force, whoever speaks first', [elsewhere, applied], 'applied'],
  ['the canary has failed', [elsewhere, failed, elsewhere], 'failed'],
  ['nobody is a canary for it', [elsewhere, elsewhere], 'failed'],
  ['of agents for which it is meant, the newest word counts', [applied, failed], 'failed'],
] as const)('a policy for canaries: %s', (_title, words, said) => {
  const ledger = newLedger();
  sawPolicy(ledger, 'p1', 1, 0);
  for (const word of words) sawAck(ledger, 'p1', word, 0);
  expect(takeChanges(ledger).policies.get('p1')?.acked).toBe(said);
});

test('of acknowledgements whose policy is not known the newest are kept, so many and no more', () => {
  const ledger = newLedger();
  sawPolicy(ledger, 'open', 7, 0);
  for (let n = 0; n <= EARLY_MAX; n++) sawAck(ledger, `p${n}`, applied, n);
  settle(ledger, 1);
  expect(ledger.policies.size).toBe(1 + EARLY_MAX);
  expect(['open', 'p0', 'p1'].map((id) => ledger.policies.has(id))).toEqual([true, false, true]);
});
