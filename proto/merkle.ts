/**
 * The versioned state under a Merkle root, and the Merkle root of a list.
 *
 * State: a sparse binary tree over SHA-256(key), in which a subtree with one leaf is that leaf (Jellyfish Merkle
 * tree, Gao, Hu, Wu 2021, with radix 2). Trees are values: an update shares what it does not change with its
 * origin, so a fork of the state costs what it changes and an old version stays readable while it is held. The shape,
 * and so the root, depends on the set of keys alone, not on the order of the writes.
 *
 *   leaf = SHA-256("STATE_LEAF_V1" || SHA-256(key) || SHA-256(value))
 *   node = SHA-256("STATE_NODE_V1" || left || right)          empty = 32 zero bytes
 */
import { compare, concat, equal, utf8 } from './bytes.ts';
import { decodeCanonical, encodeCanonical } from './cbor.ts';
import type { Crypto } from './crypto.ts';
import { err, ok, type Result } from './result.ts';

type Hasher = Pick<Crypto, 'sha256'>;

export type Leaf = {
  readonly kind: 'leaf';
  readonly hash: Uint8Array;
  /** SHA-256(key): the way from the root, most significant bit first. */
  readonly path: Uint8Array;
  readonly key: string;
  readonly value: Uint8Array;
};
type Branch = {
  readonly kind: 'branch';
  readonly hash: Uint8Array;
  readonly left: Tree;
  readonly right: Tree;
};
/** One version of the state; null is the empty state. */
export type Tree = Leaf | Branch | null;

/** A write (value) or a removal (null) of a key. Keys are 1..512 bytes of UTF-8. */
export type Change = readonly [key: string, value: Uint8Array | null];

/**
 * The siblings from the root downwards (an empty subtree is an empty array), and, for a proof of absence, the other
 * leaf that stands in the key's place.
 */
export type MerkleProof = {
  readonly siblings: readonly Uint8Array[];
  readonly other: { readonly path: Uint8Array; readonly valueHash: Uint8Array } | null;
};

const LEAF_DOMAIN = utf8('STATE_LEAF_V1');
const NODE_DOMAIN = utf8('STATE_NODE_V1');
const LIST_LEAF_DOMAIN = utf8('LIST_LEAF_V1');
const LIST_NODE_DOMAIN = utf8('LIST_NODE_V1');
const DEPTH_MAX = 256;
export const PROOF_BYTES_MAX = 64 * 1024;
export const EMPTY_ROOT = new Uint8Array(32);

const bitOf = (path: Uint8Array, depth: number): number =>
  ((path[depth >> 3] ?? 0) >> (7 - (depth & 7))) & 1;

export const rootOf = (tree: Tree): Uint8Array => (tree === null ? EMPTY_ROOT : tree.hash);

/** Most of an update is this: the input is written into one buffer, which nobody else sees. */
const pairHash = (domain: Uint8Array) => {
  const input = new Uint8Array(domain.length + 64);
  input.set(domain);
  return (first: Uint8Array, second: Uint8Array, crypto: Hasher): Uint8Array => {
    if (first.length !== 32 || second.length !== 32) throw new Error('not a pair of hashes');
    input.set(first, domain.length);
    input.set(second, domain.length + 32);
    return crypto.sha256(input);
  };
};

const leafHash = pairHash(LEAF_DOMAIN);
const nodeHash = pairHash(NODE_DOMAIN);

const leafOf = (key: string, value: Uint8Array, path: Uint8Array, crypto: Hasher): Leaf => ({
  kind: 'leaf',
  hash: leafHash(path, crypto.sha256(value), crypto),
  path,
  key,
  value,
});

const join = (left: Tree, right: Tree, crypto: Hasher): Tree => {
  if (left === null && (right === null || right.kind === 'leaf')) return right;
  if (right === null && left?.kind === 'leaf') return left;
  return { kind: 'branch', hash: nodeHash(rootOf(left), rootOf(right), crypto), left, right };
};

type Step = { readonly path: Uint8Array; readonly leaf: Leaf | null };

/** Index of the first step in [from, to) whose path has a 1 at `depth`; the steps are sorted by path. */
const splitAt = (steps: readonly Step[], from: number, to: number, depth: number): number => {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (bitOf((steps[middle] as Step).path, depth) === 0) low = middle + 1;
    else high = middle;
  }
  return low;
};

const apply = (
  tree: Tree,
  steps: readonly Step[],
  from: number,
  to: number,
  depth: number,
  crypto: Hasher,
): Tree => {
  if (from === to) return tree;
  if (tree === null || tree.kind === 'leaf') {
    const only = steps[from] as Step;
    if (to - from === 1 && (tree === null || equal(tree.path, only.path))) {
      return tree !== null && only.leaf !== null && equal(tree.hash, only.leaf.hash)
        ? tree
        : only.leaf;
    }
  }
  const middle = splitAt(steps, from, to, depth);
  const [oldLeft, oldRight] = childrenAt(tree, depth);
  const left = apply(oldLeft, steps, from, middle, depth + 1, crypto);
  const right = apply(oldRight, steps, middle, to, depth + 1, crypto);
  if (tree?.kind === 'branch' && left === tree.left && right === tree.right) return tree;
  return join(left, right, crypto);
};

const childrenAt = (tree: Tree, depth: number): readonly [Tree, Tree] => {
  if (tree === null) return [null, null];
  if (tree.kind === 'branch') return [tree.left, tree.right];
  return bitOf(tree.path, depth) === 0 ? [tree, null] : [null, tree];
};

/** A new version with these changes; of several changes of one key the last counts. */
export const update = (tree: Tree, changes: Iterable<Change>, crypto: Hasher): Tree => {
  const steps: Step[] = [];
  for (const [key, value] of new Map(changes)) {
    const path = crypto.sha256(utf8(key));
    steps.push({ path, leaf: value === null ? null : leafOf(key, value, path, crypto) });
  }
  steps.sort((a, b) => compare(a.path, b.path));
  return apply(tree, steps, 0, steps.length, 0, crypto);
};

/** The leaf at the end of the key's way, which may belong to another key, and the siblings passed. */
const descend = (tree: Tree, path: Uint8Array): { end: Leaf | null; siblings: Uint8Array[] } => {
  const siblings: Uint8Array[] = [];
  let node = tree;
  while (node?.kind === 'branch') {
    const [next, sibling]: readonly [Tree, Tree] =
      bitOf(path, siblings.length) === 0 ? [node.left, node.right] : [node.right, node.left];
    siblings.push(sibling === null ? new Uint8Array(0) : sibling.hash);
    node = next;
  }
  return { end: node, siblings };
};

/** The value of a key in this version, or null. The bytes belong to the tree: read them only. */
export const get = (tree: Tree, key: string, crypto: Hasher): Uint8Array | null => {
  const path = crypto.sha256(utf8(key));
  let node = tree;
  for (let depth = 0; node?.kind === 'branch'; depth++) {
    node = bitOf(path, depth) === 0 ? node.left : node.right;
  }
  return node !== null && equal(node.path, path) ? node.value : null;
};

/** Every key of this version with its value, in the order of SHA-256(key). */
export function* entries(tree: Tree): Generator<Leaf> {
  if (tree === null) return;
  if (tree.kind === 'leaf') {
    yield tree;
    return;
  }
  yield* entries(tree.left);
  yield* entries(tree.right);
}

/** A proof that the key has its value in this version, or that it has none. */
export const prove = (tree: Tree, key: string, crypto: Hasher): MerkleProof => {
  const path = crypto.sha256(utf8(key));
  const { end, siblings } = descend(tree, path);
  const other =
    end === null || equal(end.path, path)
      ? null
      : { path: end.path, valueHash: crypto.sha256(end.value) };
  return { siblings, other };
};

const sharePrefix = (a: Uint8Array, b: Uint8Array, bits: number): boolean => {
  for (let depth = 0; depth < bits; depth++) if (bitOf(a, depth) !== bitOf(b, depth)) return false;
  return true;
};

/** Whether `root` is the root of a state in which `key` has `value` (null: does not exist). */
export const verifyProof = (
  root: Uint8Array,
  key: string,
  value: Uint8Array | null,
  proof: MerkleProof,
  crypto: Hasher,
): boolean => {
  const { siblings, other } = proof;
  if (siblings.length > DEPTH_MAX || root.length !== 32) return false;
  const path = crypto.sha256(utf8(key));
  let hash: Uint8Array = EMPTY_ROOT;
  if (value !== null) {
    if (other !== null) return false;
    hash = leafHash(path, crypto.sha256(value), crypto);
  } else if (other !== null) {
    if (other.path.length !== 32 || other.valueHash.length !== 32) return false;
    if (equal(other.path, path)) return false;
    if (!sharePrefix(other.path, path, siblings.length)) return false;
    hash = leafHash(other.path, other.valueHash, crypto);
  }
  for (let depth = siblings.length - 1; depth >= 0; depth--) {
    const given = siblings[depth] as Uint8Array;
    if (given.length !== 0 && given.length !== 32) return false;
    const sibling = given.length === 0 ? EMPTY_ROOT : given;
    hash =
      bitOf(path, depth) === 0 ? nodeHash(hash, sibling, crypto) : nodeHash(sibling, hash, crypto);
  }
  return equal(hash, root);
};

/** CBOR [[sibling...], [] or [path, valueHash]]. */
export const encodeProof = (proof: MerkleProof): Uint8Array =>
  encodeCanonical([
    [...proof.siblings],
    proof.other === null ? [] : [proof.other.path, proof.other.valueHash],
  ]);

const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array;

export const decodeProof = (bytes: Uint8Array): Result<MerkleProof, 'malformed'> => {
  const decoded = decodeCanonical(bytes, { bytesMax: PROOF_BYTES_MAX });
  if (!decoded.ok || !Array.isArray(decoded.value)) return err('malformed');
  const [siblings, other, ...rest] = decoded.value as unknown[];
  if (!Array.isArray(siblings) || !Array.isArray(other) || rest.length > 0) return err('malformed');
  if (siblings.length > DEPTH_MAX || !siblings.every(isBytes)) return err('malformed');
  if (other.length === 0) return ok({ siblings, other: null });
  const [path, valueHash] = other as unknown[];
  if (other.length !== 2 || !isBytes(path) || !isBytes(valueHash)) return err('malformed');
  return ok({ siblings, other: { path, valueHash } });
};

/**
 * The root over a list in its order (RFC 6962, section 2.1, with domains of our own: the split at the largest power
 * of two keeps a list and its prolongation by a repeated last item apart). The empty list has 32 zero bytes.
 */
export const listRoot = (hashes: readonly Uint8Array[], crypto: Hasher): Uint8Array => {
  const first = hashes[0];
  if (first === undefined) return EMPTY_ROOT;
  if (hashes.length === 1) return crypto.sha256(concat(LIST_LEAF_DOMAIN, first));
  let half = 1;
  while (half * 2 < hashes.length) half *= 2;
  const left = listRoot(hashes.slice(0, half), crypto);
  const right = listRoot(hashes.slice(half), crypto);
  return crypto.sha256(concat(LIST_NODE_DOMAIN, left, right));
};
