/**
 * The executor: forks of the state in memory, the chain in its store. Execution is pure and happens in a step; what
 * is committed is answered only after the store has it on disk.
 */
import { hex } from '#proto/bytes.ts';
import type { Crypto } from '#proto/crypto.ts';
import type { Genesis } from '#proto/genesis.ts';
import { genesisChanges } from '#proto/genesis-state.ts';
import { unreachable } from '#proto/result.ts';
import type { Core, Effects, MessagesTo } from '#runtime/actor.ts';
import type { Chain, Commands, ReadJob } from './chain.ts';
import { commitBlock, stored } from './commit.ts';
import type { ExecutorConfig } from './config.ts';
import { buildOn, executeOn } from './forks.ts';
import { beginLedger, restoreLedger, type Stored } from './ledger.ts';
import type { executor } from './protocol.ts';
import {
  answerContext,
  answerHead,
  answerKnown,
  answerRead,
  answerState,
  readDue,
} from './reads.ts';
import { rulesOf } from './rules.ts';

type Question = MessagesTo<typeof executor>;

export type Self =
  | Question
  | {
      readonly kind: 'loaded';
      readonly genesis: Genesis;
      /** null: a new chain. */
      readonly stored: Stored | null;
    }
  /** The appended blocks are on disk. */
  | { readonly kind: 'appended'; readonly height: number }
  | { readonly kind: 'readDone'; readonly job: ReadJob; readonly blocks: Uint8Array }
  | { readonly kind: 'readDue'; readonly id: number };

export type Fx = Effects<Self, Commands>;

export type State = {
  readonly config: ExecutorConfig;
  readonly crypto: Crypto;
  /** undefined until the store has been read. */
  chain: Chain | undefined;
  /** What arrived before, in order. */
  readonly early: Question[];
};

/** Nobody asks more than a few questions before the first answer; more than this are dropped and time out. */
const EARLY_MAX = 1024;

const load = (state: State, message: Extract<Self, { kind: 'loaded' }>, fx: Fx): void => {
  const { genesis } = message;
  const rules = rulesOf(genesis, state.crypto);
  const { horizonBlocks } = state.config;
  let ledger: Chain['ledger'];
  if (message.stored === null) {
    const changes = genesisChanges(genesis, state.crypto);
    ledger = beginLedger(rules, horizonBlocks, genesis, changes);
    fx.io('begin', { header: ledger.head.header, changes });
  } else {
    const restored = restoreLedger(rules, horizonBlocks, message.stored);
    if (!restored.ok) {
      fx.log('error', 'the chain store is damaged', { reason: restored.error });
      return fx.stop('halt', restored.error);
    }
    ledger = restored.value;
  }
  const { head } = ledger;
  state.chain = {
    config: state.config,
    ledger,
    executed: new Map([[head.hash, head]]),
    verified: new Set(),
    storing: undefined,
    commits: [],
    reads: new Map(),
    nextRead: 1,
  };
  fx.gauge('height', head.header.height);
  fx.signal({ kind: 'fact', name: 'state_root', value: head.header.stateRoot });
};

const question = (chain: Chain, message: Question, fx: Fx): void => {
  switch (message.kind) {
    case 'head':
      return answerHead(chain, message, fx);
    case 'build':
      return buildOn(chain, message, fx);
    case 'execute':
      return executeOn(chain, message, fx);
    case 'commit':
      return commitBlock(chain, message, fx);
    case 'read':
      return answerRead(chain, message, fx);
    case 'state':
      return answerState(chain, message, fx);
    case 'known':
      return answerKnown(chain, message, fx);
    case 'context':
      return answerContext(chain, message, fx);
    case 'verified':
      return remember(chain, message.ids);
    default:
      return unreachable(message);
  }
};

/** Oldest first out: what is still needed was verified a moment ago. */
const remember = ({ verified, config }: Chain, ids: readonly Uint8Array[]): void => {
  for (const id of ids) {
    verified.add(hex(id));
    if (verified.size <= config.verifiedMax) continue;
    const [oldest] = verified;
    if (oldest !== undefined) verified.delete(oldest);
  }
};

export const executorCore = (crypto: Crypto): Core<ExecutorConfig, State, Self, Commands> => ({
  init: (config) => ({ config, crypto, chain: undefined, early: [] }),
  start: (_state, fx) => fx.io('load', {}),
  step(state, message, fx) {
    if (message.kind === 'loaded') {
      load(state, message, fx);
      const { chain } = state;
      if (chain === undefined) return;
      for (const one of state.early.splice(0)) question(chain, one, fx);
      return;
    }
    const { chain } = state;
    switch (message.kind) {
      case 'appended':
        if (chain !== undefined) stored(chain, message.height, fx);
        return;
      case 'readDone':
        if (chain !== undefined) readDone(chain, message, fx);
        return;
      case 'readDue':
        if (chain !== undefined) readDue(chain, message.id, fx);
        return;
      default:
        if (chain !== undefined) return question(chain, message, fx);
        if (state.early.length < EARLY_MAX) state.early.push(message);
        return;
    }
  },
});

const readDone = (chain: Chain, message: Extract<Self, { kind: 'readDone' }>, fx: Fx): void => {
  const { job, blocks } = message;
  fx.reply(job.replyTo, { blocks, head: chain.ledger.head.header.height });
};
