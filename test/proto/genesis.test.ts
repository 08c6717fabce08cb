import { expect, test } from 'vitest';
import { crypto } from '#native/crypto.ts';
import { hex, utf8 } from '#proto/bytes.ts';
import {
  checkGenesis,
  configHash,
  encodeGenesis,
  genesisCommittee,
  parseGenesis,
  pinnedGenesis,
} from '#proto/genesis.ts';
import { testGenesis } from '#test/kit/chain-genesis.ts';

const genesis = testGenesis();

test('what is written is what is read', () => {
  expect(parseGenesis(encodeGenesis(genesis))).toEqual({ ok: true, value: genesis });
});

test('the configuration hash is the SHA-256 of the file as we write it', () => {
  expect(hex(configHash(genesis, crypto))).toBe(hex(crypto.sha256(encodeGenesis(genesis))));
});

test('the configuration hash does not depend on formatting and does on every value', () => {
  const pretty = parseGenesis(utf8(JSON.stringify(genesis, null, 2)));
  expect(pretty.ok && hex(configHash(pretty.value, crypto))).toBe(hex(configHash(genesis, crypto)));
  const other = testGenesis({ blockTxMax: 499 });
  expect(hex(configHash(other, crypto))).not.toBe(hex(configHash(genesis, crypto)));
});

test('a genesis other than the pinned one is refused with both hashes', () => {
  const bytes = encodeGenesis(genesis);
  const pinned = hex(configHash(genesis, crypto));
  expect(pinnedGenesis(bytes, pinned, crypto).ok).toBe(true);
  const result = pinnedGenesis(bytes, '00'.repeat(32), crypto);
  expect(result).toEqual({
    ok: false,
    error: `configuration hash is ${pinned}, pinned is ${'00'.repeat(32)}`,
  });
});

test('a fault is named by its field', () => {
  const faults: [string, unknown][] = [
    ['chainId', { ...genesis, chainId: 'NO' }],
    ['ports', { ...genesis, ports: 1 }],
    ['validators.0.weight', { ...genesis, validators: [{ ...genesis.validators[0], weight: 0 }] }],
    ['neverBlock.0', { ...genesis, neverBlock: ['10.0.0.0/33'] }],
    ['parameters.ttlLadderS', testGenesis({ ttlLadderS: [] })],
    ['parameters.nonceTtlMs', testGenesis({ nonceTtlMs: 600_000, blockTimeSkewMs: 300_001 })],
    ['name v1', { ...genesis, validators: [genesis.validators[0], genesis.validators[0]] }],
    [
      'public key',
      {
        ...genesis,
        producers: [{ ...genesis.producers[0], publicKey: genesis.validators[0]?.publicKey }],
      },
    ],
  ];
  for (const [field, data] of faults) {
    const result = checkGenesis(data);
    expect(result.ok ? 'accepted' : result.error).toContain(field);
  }
});

test('text that is no genesis is refused without a throw', () => {
  for (const text of ['', '{', '[]', '{"chainId":1,"chainId":2}', '\u0000']) {
    expect(parseGenesis(utf8(text)).ok).toBe(false);
  }
});

test('the committee has each validator under the hash of its key', () => {
  const committee = genesisCommittee(genesis, crypto);
  expect(committee.validators.map((one) => one.name).sort()).toEqual(['v1', 'v2', 'v3', 'v4']);
  for (const one of committee.validators) {
    expect(one.id).toBe(hex(crypto.sha256(one.publicKey)));
  }
});
