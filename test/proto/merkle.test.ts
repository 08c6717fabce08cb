import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crypto } from '#native/crypto.ts';
import { compare, concat, equal, hex, utf8 } from '#proto/bytes.ts';
import {
  type Change,
  decodeProof,
  EMPTY_ROOT,
  encodeProof,
  entries,
  get,
  listRoot,
  prove,
  rootOf,
  type Tree,
  update,
  verifyProof,
} from '#proto/merkle.ts';

const SEED = 20_260_711;
const keys = fc.constantFrom(...Array.from({ length: 40 }, (_, k) => `key/${k}`));
const change = fc.tuple(keys, fc.option(fc.uint8Array({ maxLength: 4 }), { nil: null }));
const blocks = fc.array(fc.array(change, { maxLength: 12 }), { maxLength: 12 });
const check = <T extends unknown[]>(property: fc.IProperty<T>, numRuns = 100): void =>
  fc.assert(property, { seed: SEED, numRuns });

/** The definition, without any sharing: from the set of leaves alone. */
const naiveRoot = (state: ReadonlyMap<string, Uint8Array>): Uint8Array => {
  type Item = { path: Uint8Array; value: Uint8Array };
  const bit = (path: Uint8Array, depth: number) => (path[depth >> 3]! >> (7 - (depth % 8))) & 1;
  const at = (items: readonly Item[], depth: number): Uint8Array => {
    if (items.length === 0) return new Uint8Array(32);
    if (items.length === 1) {
      const { path, value } = items[0]!;
      return crypto.sha256(concat(utf8('STATE_LEAF_V1'), path, crypto.sha256(value)));
    }
    const left = at(
      items.filter((item) => bit(item.path, depth) === 0),
      depth + 1,
    );
    const right = at(
      items.filter((item) => bit(item.path, depth) === 1),
      depth + 1,
    );
    return crypto.sha256(concat(utf8('STATE_NODE_V1'), left, right));
  };
  const items = [...state].map(([key, value]) => ({ path: crypto.sha256(utf8(key)), value }));
  return at(items, 0);
};

const applyTo = (state: Map<string, Uint8Array>, changes: readonly Change[]): void => {
  for (const [key, value] of changes) {
    if (value === null) state.delete(key);
    else state.set(key, value);
  }
};

test('the root after any history is the root of what is left, whatever the order', () => {
  check(
    fc.property(blocks, (history) => {
      const model = new Map<string, Uint8Array>();
      let tree: Tree = null;
      for (const changes of history) {
        applyTo(model, changes);
        tree = update(tree, changes, crypto);
        expect(hex(rootOf(tree))).toBe(hex(naiveRoot(model)));
      }
      for (const [key, value] of model) expect(get(tree, key, crypto)).toEqual(value);
      expect([...entries(tree)].map((leaf) => leaf.key).sort()).toEqual([...model.keys()].sort());
    }),
  );
});

test('an old version reads as it was after later updates', () => {
  check(
    fc.property(blocks, (history) => {
      const versions: [Tree, Map<string, Uint8Array>][] = [[null, new Map()]];
      for (const changes of history) {
        const [tree, model] = versions.at(-1)!;
        const next = new Map(model);
        applyTo(next, changes);
        versions.push([update(tree, changes, crypto), next]);
      }
      for (const [tree, model] of versions) {
        expect(hex(rootOf(tree))).toBe(hex(naiveRoot(model)));
      }
    }),
    30,
  );
});

test('every key proves its value or its absence, and nothing else', () => {
  check(
    fc.property(fc.array(change, { maxLength: 40 }), keys, (changes, key) => {
      const tree = update(null, changes, crypto);
      const value = get(tree, key, crypto);
      const proof = prove(tree, key, crypto);
      const root = rootOf(tree);
      expect(verifyProof(root, key, value, proof, crypto)).toBe(true);
      expect(decodeProof(encodeProof(proof))).toEqual({ ok: true, value: proof });
      expect(verifyProof(root, key, utf8('another'), proof, crypto)).toBe(false);
      expect(verifyProof(root, `${key}?`, value ?? utf8('x'), proof, crypto)).toBe(false);
      if (value !== null) expect(verifyProof(root, key, null, proof, crypto)).toBe(false);
      const other = rootOf(update(tree, [['more', utf8('1')]], crypto));
      expect(verifyProof(other, key, value, proof, crypto)).toBe(false);
    }),
  );
});

test('a present key has no proof of absence by a shorter way or by its own leaf', () => {
  const tree = update(
    null,
    Array.from({ length: 64 }, (_, k): Change => [`k${k}`, utf8('v')]),
    crypto,
  );
  const proof = prove(tree, 'k7', crypto);
  const own = { path: crypto.sha256(utf8('k7')), valueHash: crypto.sha256(utf8('v')) };
  expect(verifyProof(rootOf(tree), 'k7', null, { ...proof, other: own }, crypto)).toBe(false);
  for (let length = 0; length < proof.siblings.length; length++) {
    const shorter = { siblings: proof.siblings.slice(0, length), other: null };
    expect(verifyProof(rootOf(tree), 'k7', null, shorter, crypto)).toBe(false);
  }
});

test('a leaf of another branch proves no absence', () => {
  const tree = update(
    null,
    Array.from({ length: 64 }, (_, k): Change => [`k${k}`, utf8('v')]),
    crypto,
  );
  const path = crypto.sha256(utf8('k7'));
  for (const leaf of entries(tree)) {
    if (equal(leaf.path, path)) continue;
    const { siblings } = prove(tree, leaf.key, crypto);
    const other = { path: leaf.path, valueHash: crypto.sha256(leaf.value) };
    expect(verifyProof(rootOf(tree), 'k7', null, { siblings, other }, crypto)).toBe(false);
  }
});

test('the cost of an update grows with what changed, not with the state', () => {
  let hashes = 0;
  const counting = {
    sha256: (bytes: Uint8Array) => {
      hashes += 1;
      return crypto.sha256(bytes);
    },
  };
  const many = Array.from({ length: 20_000 }, (_, k): Change => [`key/${k}`, utf8('v')]);
  const tree = update(null, many, counting);
  hashes = 0;
  const next = update(tree, [['key/77', utf8('w')]], counting);
  expect(hashes).toBeLessThan(40);
  expect(hex(rootOf(update(next, [['key/77', utf8('v')]], counting)))).toBe(hex(rootOf(tree)));
});

test('writing what is there already gives the very same version', () => {
  const tree = update(
    null,
    [
      ['a', utf8('1')],
      ['b', utf8('2')],
    ],
    crypto,
  );
  expect(
    update(
      tree,
      [
        ['a', utf8('1')],
        ['c', null],
      ],
      crypto,
    ),
  ).toBe(tree);
});

test('bytes that are no proof are refused', () => {
  for (const bytes of [new Uint8Array(0), utf8('x'), Uint8Array.of(0x82, 0x80, 0x81, 0x40)]) {
    expect(decodeProof(bytes)).toEqual({ ok: false, error: 'malformed' });
  }
});

test('the root of a list tells lists apart: order, length, repetition of the last', () => {
  const items = Array.from({ length: 9 }, (_, k) => crypto.sha256(Uint8Array.of(k)));
  const lists = [
    ...items.map((_, k) => items.slice(0, k)),
    items,
    [...items, items[8]!],
    [...items].reverse(),
    [...items].sort(compare),
  ];
  const roots = lists.map((list) => hex(listRoot(list, crypto)));
  expect(new Set(roots).size).toBe(lists.length);
  expect(listRoot([], crypto)).toEqual(EMPTY_ROOT);
});
