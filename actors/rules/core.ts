/** Answers each batch with the verdict of the rule table; a new table counts from the next batch on. */
import { ensemble } from '#actors/ensemble/protocol.ts';
import { unreachable } from '#proto/result.ts';
import { ABSTAINED, encodeVerdict, FINDINGS_MAX } from '#proto/verdict.ts';
import type { Core, Effects, MessagesTo } from '#runtime/actor.ts';
import type { RulesConfig } from './config.ts';
import { evaluate, type Memory, newMemory } from './evaluate.ts';
import type { rules } from './protocol.ts';
import { parseRules, type RuleSet } from './table.ts';

export type Self =
  | MessagesTo<typeof rules>
  /** From io: the file as it is now, at the start and after each change. */
  | { readonly kind: 'file'; readonly text: string; readonly sha256: string }
  | { readonly kind: 'unreadable'; readonly reason: string };

type Fx = Effects<Self>;

export type State = {
  table: RuleSet | undefined;
  epoch: number;
  memory: Memory;
};

const onFile = (state: State, text: string, sha256: string, fx: Fx): void => {
  if (state.table?.sha256 === sha256) return;
  const parsed = parseRules(text, sha256);
  if (!parsed.ok) {
    fx.emit('tables_refused', 1);
    const kept = state.table?.sha256 ?? 'none';
    fx.log('error', 'the table of rules is broken, the last good one stays', {
      kept,
      problems: parsed.error,
    });
    if (state.table === undefined) fx.stop('halt', `no rules to work by: ${parsed.error}`);
    return;
  }
  state.table = parsed.value;
  fx.emit('tables_loaded', 1);
  fx.signal({ kind: 'fact', name: 'rules', value: sha256.slice(0, 12) });
  fx.signal({ kind: 'ready' });
  const { windows, flows } = parsed.value;
  fx.log('info', 'rules loaded', { sha256, rules: windows.length + flows.length });
};

const onBatch = (state: State, batch: Extract<Self, { kind: 'batch' }>, fx: Fx): void => {
  const { epoch, seq, flows, windows } = batch;
  if (epoch < state.epoch) return;
  if (epoch > state.epoch) {
    state.epoch = epoch;
    state.memory = newMemory();
  }
  const verdict = { kind: 'verdict', engine: 'rules', epoch, seq } as const;
  if (state.table === undefined || flows + windows === 0) {
    fx.tell(ensemble, { ...verdict, ...ABSTAINED });
    return;
  }
  const { scores, confidences, findings } = evaluate(state.table, state.memory, batch);
  fx.emit('findings', findings.length);
  fx.tell(ensemble, {
    ...verdict,
    ...encodeVerdict(scores, confidences, findings.slice(0, FINDINGS_MAX)),
  });
};

export const core: Core<RulesConfig, State, Self> = {
  init: () => ({ table: undefined, epoch: 0, memory: newMemory() }),
  step: (state, message, fx) => {
    switch (message.kind) {
      case 'batch':
        return onBatch(state, message, fx);
      case 'file':
        return onFile(state, message.text, message.sha256, fx);
      case 'unreadable':
        fx.emit('tables_refused', 1);
        fx.log('error', 'the table of rules cannot be read', { reason: message.reason });
        if (state.table === undefined) fx.stop('halt', message.reason);
        return;
      default:
        return unreachable(message);
    }
  },
};
