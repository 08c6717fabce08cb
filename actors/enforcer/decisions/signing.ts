/** An operator's signature under an order, and what is needed to believe the answers: genesis and key. */
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { crypto, KeyFileError, readPrivateKey } from '#native/crypto.ts';
import { readGenesis } from '#native/genesis-file.ts';
import { hex } from '#proto/bytes.ts';
import type { KeyPair } from '#proto/crypto.ts';
import { type Genesis, genesisCommittee } from '#proto/genesis.ts';
import { encodePolicyRule, type PolicyRule } from '#proto/policy.ts';
import { err, ok, type Result } from '#proto/result.ts';
import { roleBook } from '#proto/roles.ts';
import { signPolicyEvent } from '#proto/wire/ai-message.ts';
import { nonceOf } from '#proto/wire/ai-signature.ts';
import { encodePolicyEvent } from '#proto/wire/policy-event.ts';
import type { TopologyView } from '#runtime/topology/view.ts';
import type { Believed } from './fate.ts';

const MS_PER_S = 1000;

/** Somebody who may give orders on a chain. */
export type Operator = {
  readonly genesis: Genesis;
  readonly believed: Believed;
  readonly key: KeyPair;
  readonly keyFile: string;
};

export type Signed = {
  readonly policyId: string;
  readonly action: 'add' | 'remove';
  /** Hex. */
  readonly ruleHash: string;
  readonly rule: PolicyRule;
  /** The encoded PolicyEvent. */
  readonly bytes: Uint8Array;
};

const genesisOf = ({ genesis }: TopologyView): Genesis => {
  const beside = `${genesis.file}.sha256`;
  if (genesis.sha256 !== '') return readGenesis(genesis);
  if (!existsSync(beside)) {
    throw new Error(`no genesis is pinned (${beside}): set genesis.sha256, or start the node once`);
  }
  return readGenesis({ file: genesis.file, sha256: readFileSync(beside, 'utf8').trim() });
};

/** A bare name lies under <dataDir>/keys, as in a topology. */
const keyFileOf = (dataDir: string, key: string): string =>
  key.includes(path.sep) ? path.resolve(key) : path.join(dataDir, 'keys', key);

/** The errors name the file and the remedy; the key is never in them. */
export const operatorOf = (topology: TopologyView, key: string): Result<Operator, string> => {
  const keyFile = keyFileOf(topology.node.dataDir, key);
  try {
    const genesis = genesisOf(topology);
    const pair = readPrivateKey(keyFile);
    const roles = roleBook(genesis);
    const role = roles.roleOf(pair.publicKey);
    if (role !== 'operator') {
      return err(
        `${keyFile} is the key of ${role === undefined ? 'nobody on' : `a ${role} of`} chain ${genesis.chainId}, not of an operator: give --key`,
      );
    }
    const trust = { committee: genesisCommittee(genesis, crypto), crypto };
    return ok({ genesis, believed: { trust, roles }, key: pair, keyFile });
  } catch (fault) {
    const hint = fault instanceof KeyFileError ? '; give the key of an operator with --key' : '';
    return err(`${fault instanceof Error ? fault.message : String(fault)}${hint}`);
  }
};

/** A name that no policy has yet, and a mark that makes the content of each order its own. */
export const freshStamp = (): { readonly policyId: string; readonly request: string } => ({
  policyId: `op-${randomUUID()}`,
  request: `request:${randomUUID()}`,
});

/** A nonce of its own for every order: the time, a random instance, and its number among those of this command. */
export const signOrders = (rules: readonly PolicyRule[], key: KeyPair, nowMs: number): Signed[] => {
  const instance = randomBytes(4).readUInt32BE();
  return rules.map((rule, k) => {
    const params = encodePolicyRule(rule);
    const event = signPolicyEvent(
      {
        action: rule.action,
        rule: rule.rule_type,
        params,
        ts: Math.floor(nowMs / MS_PER_S),
        nonce: nonceOf(nowMs, instance, k),
      },
      key,
      crypto,
    );
    return {
      policyId: rule.policy_id,
      action: rule.action === 'remove' ? 'remove' : 'add',
      ruleHash: hex(crypto.sha256(params)),
      rule,
      bytes: encodePolicyEvent(event),
    };
  });
};
