/** What does not change from block to block: the rules that genesis sets, prepared for use. */
import type { Committee } from '#proto/consensus/committee.ts';
import type { Crypto } from '#proto/crypto.ts';
import { type Genesis, type GenesisParameters, genesisCommittee } from '#proto/genesis.ts';
import { type GuardrailLimits, guardrailLimits } from '#proto/policy-guardrails.ts';
import { type RoleBook, roleBook } from '#proto/roles.ts';
import { type Verify, verifyDeterministic } from '#proto/wire/verification.ts';

export type Rules = {
  readonly genesis: Genesis;
  readonly parameters: GenesisParameters;
  readonly crypto: Crypto;
  readonly committee: Committee;
  readonly limits: GuardrailLimits;
  readonly roles: RoleBook;
  readonly verify: Verify;
};

export const rulesOf = (genesis: Genesis, crypto: Crypto): Rules => ({
  genesis,
  parameters: genesis.parameters,
  crypto,
  committee: genesisCommittee(genesis, crypto),
  limits: guardrailLimits(genesis.parameters, genesis.neverBlock),
  roles: roleBook(genesis),
  verify: verifyDeterministic,
});
