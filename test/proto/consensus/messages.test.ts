import fc from 'fast-check';
import { expect, test } from 'vitest';
import { concat, hex, utf8 } from '#proto/bytes.ts';
import { encodeCanonical } from '#proto/cbor.ts';
import { decodeAnchor, encodeAnchor } from '#proto/consensus/anchor.ts';
import { bodyMatches, decodeBlock, encodeBlock } from '#proto/consensus/block.ts';
import { timeoutBytes, voteBytes } from '#proto/consensus/certificate.ts';
import { blockHash, decodeHeader, encodeHeader } from '#proto/consensus/header.ts';
import { decodeMessage, encodeMessage, type Message } from '#proto/consensus/messages.ts';
import {
  decodeTransactions,
  encodeTransactions,
  kindCode,
  type Transaction,
  txId,
} from '#proto/consensus/transaction.ts';
import { simulatedCrypto } from '#test/kit/simulator/signatures.ts';
import {
  blockOn,
  claimBy,
  genesis,
  genesisCertificateBy,
  genesisQc,
  headerOn,
  idOfKey,
  ordered,
  qcBy,
  readyBy,
  signHeader,
  tcBy,
  voteBy,
} from '#test/kit/simulator/signed.ts';

const [a, b, c] = ordered as [
  (typeof ordered)[number],
  (typeof ordered)[number],
  (typeof ordered)[number],
];
const txs: readonly Transaction[] = [
  { kind: 'anomaly', bytes: utf8('one') },
  { kind: 'misbehaviour', bytes: utf8('two') },
];
const block = blockOn(genesis, txs);
const { header } = block;
const next = headerOn(header);
const qc = qcBy([a, b, c], header);
const tc = tcBy([a, b, c], 2, [1, 0, 1], qc);
const proof = { anchor: header, anchorQc: qc, next, nextQc: qcBy([a, b, c], next) };

const messages: readonly Message[] = [
  { kind: 'proposal', block, qc: genesisQc, tc, signature: signHeader(a, header).signature },
  { kind: 'proposal', block, qc: genesisQc, tc: null, signature: signHeader(a, header).signature },
  { kind: 'vote', vote: voteBy(a, header) },
  { kind: 'timeout', timeout: { claim: claimBy(a, 3, 1), highQc: qc, lastTc: tc } },
  { kind: 'new-view', tc },
  {
    kind: 'heartbeat',
    epoch: 0,
    view: 3,
    highQc: qc,
    tc,
    committedHeight: 7,
    signer: idOfKey(a),
    signature: new Uint8Array(64),
  },
  { kind: 'sync-request', fromHeight: 5, blocksMax: 64 },
  { kind: 'sync-reply', fromHeight: 1, blocks: [block], links: [next], proof },
  { kind: 'sync-reply', fromHeight: 1, blocks: [], links: [], proof: null },
  { kind: 'block-request', hash: blockHash(header, simulatedCrypto) },
  { kind: 'block-reply', block, qc: genesisQc },
  { kind: 'forward', txs },
  {
    kind: 'evidence',
    evidence: { kind: 'double-vote', first: voteBy(a, header), second: voteBy(a, next) },
  },
  { kind: 'genesis-ready', ready: readyBy(a) },
  { kind: 'genesis-certificate', certificate: genesisCertificateBy([a, b, c]) },
];

test.each(messages)('a $kind is decoded as it was encoded', (message) => {
  expect(decodeMessage(encodeMessage(message))).toEqual({ ok: true, value: message });
});

test('the code of a kind never changes: peers of another version read it', () => {
  const code = (kind: Message['kind']) =>
    encodeMessage(messages.find((one) => one.kind === kind) as Message)[1];
  const kinds = [
    ...['proposal', 'vote', 'timeout', 'new-view', 'heartbeat', 'sync-request', 'sync-reply'],
    ...['block-request', 'block-reply', 'forward', 'evidence'],
    ...['genesis-ready', 'genesis-certificate'],
  ] as Message['kind'][];
  expect(kinds.map(code)).toEqual(kinds.map((_, at) => at + 1));
});

test('cut, prolonged and damaged messages are refused or read, never thrown over', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...messages),
      fc.nat(),
      fc.nat(255),
      fc.boolean(),
      (message, place, byte, cut) => {
        const bytes = Uint8Array.from(encodeMessage(message));
        if (cut) {
          expect(decodeMessage(bytes.subarray(0, place % bytes.length)).ok).toBe(false);
          return;
        }
        expect(decodeMessage(concat(bytes, Uint8Array.of(byte))).ok).toBe(false);
        bytes[place % bytes.length] = byte;
        const decoded = decodeMessage(bytes);
        if (decoded.ok) expect(hex(encodeMessage(decoded.value))).toBe(hex(bytes));
      },
    ),
    { numRuns: 3_000 },
  );
});

test('random bytes are no message', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const decoded = decodeMessage(bytes);
      if (decoded.ok) expect(hex(encodeMessage(decoded.value))).toBe(hex(bytes));
    }),
    { numRuns: 3_000 },
  );
});

test('the size of a message is judged by its kind before it is parsed', () => {
  const huge = concat(Uint8Array.of(0x82, 2), new Uint8Array(2_000));
  expect(decodeMessage(huge)).toEqual({ ok: false, error: 'too-large' });
});

test('a header is a CBOR array of 13 fields in the declared order', () => {
  const raw = (text: string) => Uint8Array.from(Buffer.from(text, 'hex'));
  const expected = encodeCanonical([
    1,
    'simulated',
    0,
    header.height,
    header.view,
    raw(header.parentHash),
    header.parentView,
    raw(header.txRoot),
    raw(header.stateRoot),
    raw(header.proposerId),
    header.timeMs,
    2,
    6,
  ]);
  expect(hex(encodeHeader(header))).toBe(hex(expected));
  expect(decodeHeader(expected)).toEqual({ ok: true, value: header });
  const hashed = simulatedCrypto.sha256(concat(utf8('CONSENSUS_BLOCK_V1'), expected));
  expect(blockHash(header, simulatedCrypto)).toBe(hex(hashed));
});

test('votes and timeouts sign domain, chain, epoch, view and their subject', () => {
  const hash = Uint8Array.from(Buffer.from(blockHash(header, simulatedCrypto), 'hex'));
  const vote = { epoch: 3, view: 9, blockHash: hex(hash) };
  const voted = concat(utf8('CONSENSUS_VOTE_V1'), encodeCanonical(['chain', 3, 9, hash]));
  expect(hex(voteBytes('chain', vote))).toBe(hex(voted));
  const claimed = concat(utf8('CONSENSUS_VIEWCHANGE_V1'), encodeCanonical(['chain', 3, 9, 4]));
  expect(hex(timeoutBytes('chain', { epoch: 3, view: 9, highQcView: 4 }))).toBe(hex(claimed));
});

test('a transaction is its kind and the original bytes; its id binds both', () => {
  expect(
    ['anomaly', 'evidence', 'policy', 'misbehaviour'].map((kind) => kindCode(kind as 'anomaly')),
  ).toEqual([1, 2, 3, 4]);
  const hashed = simulatedCrypto.sha256(
    concat(utf8('CYBERMESH_TX_V1'), Uint8Array.of(4), utf8('two')),
  );
  expect(txId(txs[1]!, simulatedCrypto)).toBe(hex(hashed));
  expect(decodeTransactions(encodeTransactions(txs))).toEqual({ ok: true, value: txs });
  expect(decodeTransactions(encodeCanonical([[5, utf8('x')]])).ok).toBe(false);
  expect(decodeTransactions(encodeCanonical([[1, new Uint8Array(0)]])).ok).toBe(false);
});

test('a block with the transactions of another is not that block', () => {
  expect(decodeBlock(encodeBlock(block))).toEqual({ ok: true, value: block });
  expect(bodyMatches(block, simulatedCrypto)).toBe(true);
  expect(bodyMatches({ header, txs: [...txs].reverse() }, simulatedCrypto)).toBe(false);
  expect(bodyMatches({ header, txs: txs.slice(1) }, simulatedCrypto)).toBe(false);
});

test('an anchor proof is decoded as it was encoded', () => {
  expect(decodeAnchor(encodeAnchor(proof))).toEqual({ ok: true, value: proof });
  expect(decodeAnchor(encodeAnchor(proof).subarray(1)).ok).toBe(false);
});
