/** The two-chain rule, and what follows from a decision. */
import type { AnchorProof } from '#proto/consensus/anchor.ts';
import type { Emit, Event } from './events.ts';
import { onCommit } from './pacemaker.ts';
import type { Placed } from './rules.ts';
import { halt, type Node, note, type State } from './state.ts';
import { certifiedPath, pathTo, pruneBelowHead } from './tree.ts';

const placed = ({ block }: Node): Placed => block.header;

/** What the newest QC decides: the highest block on its path whose certified child has the next view. */
const decisionOn = (
  state: State,
  path: readonly Node[],
): { readonly nodes: readonly Node[]; readonly proof: AnchorProof } | null => {
  for (let at = path.length - 1; at > 0; at -= 1) {
    const next = path[at];
    const anchor = path[at - 1];
    const nextQc = at + 1 < path.length ? path[at + 1]?.qc : state.highQc;
    if (!next || !anchor || !next.qc || !nextQc) continue;
    if (!state.rules.commits(placed(anchor), placed(next))) continue;
    const proof: AnchorProof = {
      anchor: anchor.block.header,
      anchorQc: next.qc,
      next: next.block.header,
      nextQc,
    };
    return { nodes: path.slice(0, at), proof };
  }
  return null;
};

/** Nothing is committed before the first record is on disk: a head without a record means that it was lost. */
export const tryCommit = (state: State, emit: Emit): void => {
  if (state.durableSeq === 0) return;
  commitBatch(state, emit);
  const path = certifiedPath(state, emit);
  const invalid = path?.find((node) => node.execution === 'invalid');
  if (invalid !== undefined) {
    return halt(state, emit, `a certified block is invalid here: ${invalid.hash}`);
  }
  const decision = path === null ? null : decisionOn(state, path);
  if (decision?.nodes.every((node) => node.execution === 'ok')) {
    decide(state, emit, decision.nodes, decision.proof);
  }
};

const commitBatch = (state: State, emit: Emit): void => {
  const { batch } = state;
  if (batch === null) return;
  const path = pathTo(state, batch.hash);
  if (path.kind !== 'whole' || path.nodes.length === 0) {
    state.batch = null;
    return;
  }
  const invalid = path.nodes.find((node) => node.execution === 'invalid');
  if (invalid !== undefined) {
    return halt(state, emit, `a committed block is invalid here: ${invalid.hash}`);
  }
  if (!path.nodes.every((node) => node.execution === 'ok')) return;
  state.batch = null;
  decide(state, emit, path.nodes, batch.proof);
};

const decide = (state: State, emit: Emit, nodes: readonly Node[], proof: AnchorProof): void => {
  const last = nodes.at(-1);
  if (last === undefined) return;
  const blocks = nodes.map(({ hash, block }) => ({ hash, block }));
  emit({ kind: 'commit', blocks, proof });
  for (const { hash, block } of nodes) {
    const { height, view, txCount } = block.header;
    state.deciding.push({ hash, block, proof });
    note(emit, { name: 'committed', hash, height, view, txCount });
  }
  state.head = { hash: last.hash, header: last.block.header };
  state.pacemaker = onCommit(state.pacemaker, state.params.limits);
  pruneBelowHead(state);
};

export const onCommitted = (
  state: State,
  emit: Emit,
  { hash, outcome, reason }: Extract<Event, { kind: 'committed' }>,
): void => {
  const at = state.deciding.findIndex((decided) => decided.hash === hash);
  const decided = state.deciding[at];
  if (decided === undefined) return; // confirmed before, together with a later one
  if (outcome === 'invalid') return halt(state, emit, `the executor cannot commit: ${reason}`);
  if (outcome === 'unavailable') return loseExecutor(state);
  state.deciding.splice(0, at + 1);
  state.committedHeight = decided.block.header.height;
  if (state.deciding.length === 0) emit({ kind: 'count-pending' });
};

/** The executor's judgement of a block that may be gone by now. */
export const onExecuted = (
  state: State,
  emit: Emit,
  event: Extract<Event, { kind: 'executed' }>,
): void => {
  const node = state.nodes.get(event.hash);
  if (node?.execution !== 'running') return;
  if (event.outcome === 'unavailable') return loseExecutor(state);
  const agrees = event.stateRoot === node.block.header.stateRoot;
  node.execution = event.outcome === 'ok' && agrees ? 'ok' : 'invalid';
  if (node.execution === 'ok') return;
  const reason = event.outcome === 'ok' ? 'state root differs' : event.reason;
  note(emit, { name: 'not-voted', hash: event.hash, reason });
};

/** Forks live in the executor's memory: one that did not answer may have none of them any more. */
export const loseExecutor = (state: State): void => {
  state.executorLost = true;
  for (const node of state.nodes.values()) {
    if (node.execution !== 'invalid') node.execution = 'waiting';
  }
};

/** In the order in which the executor can do it: what was decided first, then (see tree.ts) the rest upwards. */
export const retryExecutor = (state: State, emit: Emit): void => {
  if (!state.executorLost) return;
  state.executorLost = false;
  for (const { hash, block } of state.deciding) emit({ kind: 'execute', hash, block });
  for (const { hash, block, proof } of state.deciding) {
    emit({ kind: 'commit', blocks: [{ hash, block }], proof });
  }
  for (const node of state.nodes.values()) {
    if (node.execution === 'waiting') node.execution = 'none';
  }
};
