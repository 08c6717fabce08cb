/** The state before the first block: what the genesis file says, and nothing else. */
import { hex } from './bytes.ts';
import { genesisHeader, type Header } from './consensus/header.ts';
import type { Crypto } from './crypto.ts';
import { configHash, type Genesis, genesisCommittee } from './genesis.ts';
import { type Change, rootOf, type Tree, update } from './merkle.ts';
import {
  encodeState,
  PARAMS_KEY,
  type ParamsState,
  type ProducerState,
  producerKey,
  TOTALS_KEY,
  type TotalsState,
  type ValidatorState,
  validatorKey,
} from './state.ts';

export const genesisChanges = (genesis: Genesis, crypto: Crypto): readonly Change[] => {
  const { chainId, parameters, neverBlock } = genesis;
  const params: ParamsState = { chainId, parameters, neverBlock };
  const totals: TotalsState = {
    anomalies: 0,
    evidence: 0,
    policies: 0,
    active: 0,
    minute: 0,
    inMinute: 0,
  };
  const validators = genesisCommittee(genesis, crypto).validators.map((one): Change => {
    const state: ValidatorState = {
      name: one.name,
      publicKey: hex(one.publicKey),
      weight: one.weight,
      reputation: parameters.reputationFirst,
      proposed: 0,
      committed: 0,
    };
    return [validatorKey(one.id), encodeState(state)];
  });
  const producers = genesis.producers.map((one): Change => {
    const { name, role, quotaPerMinute } = one;
    const state: ProducerState = { name, role, quotaPerMinute, lastTsMs: 0, count: 0 };
    return [producerKey(one.publicKey), encodeState(state)];
  });
  return [
    [PARAMS_KEY, encodeState(params)],
    [TOTALS_KEY, encodeState(totals)],
    ...validators,
    ...producers,
  ];
};

export const genesisTree = (genesis: Genesis, crypto: Crypto): Tree =>
  update(null, genesisChanges(genesis, crypto), crypto);

/** The header at height 0; its hash (consensus/header.ts) is the parent of the first block. */
export const headerOfGenesis = (genesis: Genesis, crypto: Crypto): Header =>
  genesisHeader({
    chainId: genesis.chainId,
    configHash: hex(configHash(genesis, crypto)),
    stateRoot: hex(rootOf(genesisTree(genesis, crypto))),
    timeMs: genesis.timeMs,
  });
