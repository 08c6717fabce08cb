/**
 * Claim: what each stage of the agent costs for a policy, on one thread that is warm and has nothing else to do.
 *
 *   node bench/enforcer-stages.ts [policies]
 */
import path from 'node:path';
import { ackApplied } from '#actors/enforcer/acks.ts';
import { admissionOf } from '#actors/enforcer/admissions.ts';
import { believing } from '#actors/enforcer/belief.ts';
import { claimsOf } from '#actors/enforcer/claims.ts';
import { admit, newPace } from '#actors/enforcer/pace.ts';
import type { Entry } from '#actors/enforcer/registry.ts';
import { openDisk } from '#actors/enforcer/store.ts';
import { crypto } from '#native/crypto.ts';
import { utf8 } from '#proto/bytes.ts';
import { decodeCommitProof, verifyCommitProof } from '#proto/commit-proof.ts';
import { genesisCommittee } from '#proto/genesis.ts';
import { rememberingReader } from '#proto/known-anchors.ts';
import { verifyProof } from '#proto/merkle.ts';
import { parsePolicyRule } from '#proto/policy.ts';
import { roleBook } from '#proto/roles.ts';
import { decodeState, policyKey } from '#proto/state.ts';
import { controlClaim, verifyControl } from '#proto/wire/control.ts';
import { policyUpdateWire } from '#proto/wire/policy-update.ts';
import { keys } from '#test/kit/chain-genesis.ts';
import { temporaryFolder } from '#test/kit/processes.ts';
import { markdown } from './kit/markdown.ts';
import { benchGenesis, MIXES, provenPolicies } from './kit/proven-policies.ts';
import { provenance } from './kit/provenance.ts';

const count = Number(process.argv[2] ?? 4000);
const BATCH = 512;
const genesis = benchGenesis(Date.now() - 60_000);
const committee = genesisCommittee(genesis, crypto);
const trust = { committee, crypto };
const { roleOf } = roleBook(genesis);
const values = provenPolicies(genesis, MIXES[0]!, count).map(({ value }) => value);
const events = values.map((value) => policyUpdateWire.parse(value).message);
const proofs = events.map(({ commitProof }) => {
  const proof = decodeCommitProof(commitProof);
  if (!proof.ok) throw new Error(proof.error);
  return proof.value;
});
const signed = values.map((value) => controlClaim('policy-update', value)!);
const roots = proofs.map(({ anchor }) => Buffer.from(anchor.anchor.stateRoot, 'hex'));
const rules = proofs.map(({ value }) => utf8(decodeState(policyKey(''), value!).rule));
const believe = believing(genesis, committee, crypto);
const entries = values.map((value): Entry => {
  const one = believe(value);
  if (!one.ok || one.value.rule === undefined) throw new Error('not believed');
  const { action: _, rule, ...rest } = one.value;
  const status = { status: 'applied', reason: '', appliedAtMs: 1, endedAtMs: 0, turn: 0 } as const;
  return { ...rest, rule, ...status };
});
const signer = { pair: keys.enforcer, instance: 'agent-1', crypto };
const acks = entries.map((entry) => ackApplied(entry, signer, 1));
const known = rememberingReader(trust, 64);

/** The second pass counts. */
const microseconds = (work: (k: number) => unknown): number => {
  let tookMs = 0;
  for (let pass = 0; pass < 2; pass++) {
    const beganMs = performance.now();
    for (let k = 0; k < count; k++) work(k);
    tookMs = performance.now() - beganMs;
  }
  return (tookMs / count) * 1000;
};

const pace = newPace([], 0);
const noSignature = { ...crypto, verify: () => true };
const STAGES: readonly (readonly [name: string, work: (k: number) => unknown])[] = [
  [
    'message: fields, hash of the rule, role',
    (k) => verifyControl('policy-update', values[k]!, { crypto: noSignature, roleOf }),
  ],
  [
    'message: Ed25519',
    (k) => crypto.verify(signed[k]!.publicKey, signed[k]!.message, signed[k]!.signature),
  ],
  [
    'proof whole, two certificates of three signatures',
    (k) => verifyCommitProof(events[k]!.commitProof, trust, events[k]!),
  ],
  ['proof with known certificates', (k) => known(events[k]!.commitProof, events[k]!)],
  [
    'of it the Merkle path',
    (k) => {
      const { key, value, merkle } = proofs[k]!;
      return verifyProof(roots[k]!, key, value, merkle, crypto);
    },
  ],
  ['rule', (k) => parsePolicyRule(rules[k]!)],
  ['all of this, as the pool does it', (k) => believe(values[k]!)],
  ['what it asks of a firewall', (k) => claimsOf(entries[k]!.rule)],
  [
    'its place among those before it, remembered',
    (k) => admit(pace, admissionOf(entries[k]!.rule, crypto, k)),
  ],
  ['acknowledgement: encoded and signed', (k) => ackApplied(entries[k]!, signer, 1)],
  ['of it Ed25519', (k) => keys.enforcer.sign(acks[k]!.bytes)],
];

const disk = (): number => {
  const folder = temporaryFolder();
  const store = openDisk(path.join(folder.path, 'enforcer.sqlite'));
  const beganMs = performance.now();
  for (let k = 0; k < count; k += BATCH) {
    const batch = { forgotten: [], places: [], entries: entries.slice(k, k + BATCH) };
    const admitted = batch.entries.map(({ rule }) => admissionOf(rule, crypto, k));
    store.save({ ...batch, admitted, acks: acks.slice(k, k + BATCH) });
    for (const { id } of acks.slice(k, k + BATCH)) store.acked(id);
  }
  const tookMs = performance.now() - beganMs;
  store.close();
  folder.remove();
  return (tookMs / count) * 1000;
};

const rows = STAGES.map(([name, work]) => [name, microseconds(work).toFixed(1)]);
rows.push([`disk, in batches of ${BATCH}`, disk().toFixed(1)]);
console.log(`${provenance()}\n\n${markdown(['stage', 'us a policy'], rows)}`);
