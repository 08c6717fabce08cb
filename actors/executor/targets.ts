/** The name of a policy's target in keys of the state: what makes two policies policies of one target. */
import { hex, utf8 } from '#proto/bytes.ts';
import type { Crypto } from '#proto/crypto.ts';
import { canonicalJson } from '#proto/json.ts';
import type { PolicyRule } from '#proto/policy.ts';

const NAME_CHARACTERS_MAX = 96;
const HASH_DIGITS = 16;

/** Addresses and networks, sorted: for people and for the cap of names. */
export const targetsOf = ({ target }: Pick<PolicyRule, 'target'>): readonly string[] =>
  [...(target.ips ?? []), ...(target.cidrs ?? [])].sort();

/**
 * One address as it is; whatever else narrows or widens the target is told apart by a hash of all of it. The
 * direction alone does not: nobody wants two policies for one address and action.
 */
export const targetText = (
  rule: Pick<PolicyRule, 'target'>,
  crypto: Pick<Crypto, 'sha256'>,
): string => {
  const { direction, ...target } = rule.target;
  const names = targetsOf(rule).join(',');
  const plain = Object.keys(target).every((field) => field === 'ips' || field === 'cidrs');
  if (plain && names.length <= NAME_CHARACTERS_MAX) return names;
  const hash = hex(crypto.sha256(utf8(canonicalJson(target)))).slice(0, HASH_DIGITS);
  return names.length <= NAME_CHARACTERS_MAX ? `${names}#${hash}` : `#${hash}`;
};
