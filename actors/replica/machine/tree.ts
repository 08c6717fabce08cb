/** The uncommitted blocks above the head: a tree with gaps while blocks are fetched. */
import { type Block, bodyMatches } from '#proto/consensus/block.ts';
import type { Qc } from '#proto/consensus/certificate.ts';
import type { Header } from '#proto/consensus/header.ts';
import type { HashHex } from '#proto/consensus/shape.ts';
import type { Emit } from './events.ts';
import { bound, type Execution, halt, type Node, type State } from './state.ts';

/** Views that a block stays for although no certificate builds on it. */
const GRACE_VIEWS = 4;
const HEADERS_MAX = 64;

/** From the block above the head up to `hash`; or the block that is missing; or proof of a fork. */
export type Path =
  | { readonly kind: 'whole'; readonly nodes: readonly Node[] }
  | { readonly kind: 'gap'; readonly missing: HashHex }
  | { readonly kind: 'fork'; readonly at: HashHex };

export const pathTo = (state: State, hash: HashHex): Path => {
  const nodes: Node[] = [];
  let wanted = hash;
  while (wanted !== state.head.hash) {
    const node = state.nodes.get(wanted);
    if (node === undefined) return { kind: 'gap', missing: wanted };
    nodes.push(node);
    wanted = node.block.header.parentHash;
    if (node.block.header.height <= state.head.header.height + 1 && wanted !== state.head.hash) {
      return { kind: 'fork', at: node.hash };
    }
  }
  return { kind: 'whole', nodes: nodes.reverse() };
};

export const headerOf = (state: State, hash: HashHex): Header | undefined =>
  hash === state.head.hash ? state.head.header : state.nodes.get(hash)?.block.header;

/** Parent known, its height and view just below: what a block must be beside correct in itself. */
const follows = (child: Header, parent: Header): boolean =>
  child.height === parent.height + 1 &&
  child.parentView === parent.view &&
  child.view > parent.view &&
  child.timeMs > parent.timeMs;

/** Whether the block has the form that its place in the chain demands, as far as its parent is known. */
export const isWellPlaced = (state: State, header: Header): boolean => {
  const { committee } = state.params;
  if (header.chainId !== committee.chainId || header.epoch !== committee.epoch) return false;
  if (header.height <= state.head.header.height || header.view <= header.parentView) return false;
  const parent = headerOf(state, header.parentHash);
  if (parent !== undefined) return follows(header, parent);
  return header.height > state.head.header.height + 1;
};

/** Adds a block whose hash was computed from its header. False: it has no place here, or a body of another. */
export const insert = (
  state: State,
  hash: HashHex,
  block: Block,
  qc: Qc | null,
  execution: Execution = 'none',
): boolean => {
  if (state.nodes.has(hash)) return true;
  if (!isWellPlaced(state, block.header) || !bodyMatches(block, state.params.crypto)) return false;
  state.nodes.set(hash, { hash, block, qc, execution });
  rememberHeader(state, hash, block.header);
  return true;
};

/** Headers outlive their blocks for a while: evidence refers to them. */
export const rememberHeader = (state: State, hash: HashHex, header: Header): void => {
  if (state.headers.has(hash)) return;
  state.headers.set(hash, header);
  bound(state.headers, HEADERS_MAX);
};

const parentIsExecuted = (state: State, node: Node): boolean => {
  const { parentHash } = node.block.header;
  return parentHash === state.head.hash || state.nodes.get(parentHash)?.execution === 'ok';
};

/** Every block whose parent's state exists is executed: before its vote, or to keep up. */
export const executeReady = (state: State, emit: Emit): void => {
  for (const node of state.nodes.values()) {
    if (node.execution !== 'none' || !parentIsExecuted(state, node)) continue;
    const parent = headerOf(state, node.block.header.parentHash);
    if (parent === undefined || !follows(node.block.header, parent)) {
      node.execution = 'invalid';
      continue;
    }
    node.execution = 'running';
    emit({ kind: 'execute', hash: node.hash, block: node.block });
  }
};

/** Forgets what lies at or below the head and what does not descend from it. */
export const pruneBelowHead = (state: State): void => {
  const byHeight = [...state.nodes.values()].sort(
    (a, b) => a.block.header.height - b.block.header.height,
  );
  const { height } = state.head.header;
  for (const { hash, block } of byHeight) {
    const { header } = block;
    const above = header.height > height;
    const detached = header.height === height + 1 && header.parentHash !== state.head.hash;
    const orphaned =
      header.height > height + 1 && !state.nodes.has(header.parentHash) && header.view < state.view;
    if (!above || detached || (orphaned && !isAhead(state, hash))) state.nodes.delete(hash);
  }
};

/** On the way to the newest QC, or to the end of a verified batch: never forgotten. */
const isAhead = (state: State, hash: HashHex): boolean => {
  for (const end of [state.highQc.blockHash, state.batch?.hash]) {
    let at: HashHex | undefined = end;
    while (at !== undefined) {
      if (at === hash) return true;
      at = state.nodes.get(at)?.block.header.parentHash;
    }
  }
  return false;
};

/** Forgets blocks of old views that nothing was built on. */
export const pruneOldViews = (state: State): void => {
  for (const { hash, block } of state.nodes.values()) {
    if (block.header.view + GRACE_VIEWS < state.view && !isAhead(state, hash)) {
      state.nodes.delete(hash);
    }
  }
};

/** The path to the newest QC, if it is whole; a fork there means that more than f validators are faulty. */
export const certifiedPath = (state: State, emit: Emit): readonly Node[] | null => {
  if (state.highQc.view <= state.head.header.view) return [];
  const path = pathTo(state, state.highQc.blockHash);
  if (path.kind === 'fork') halt(state, emit, `a certified block forks the chain: ${path.at}`);
  return path.kind === 'whole' ? path.nodes : null;
};
