/** Who votes in an epoch, and with how much power. */
import { hex } from '#proto/bytes.ts';
import type { Crypto } from '#proto/crypto.ts';
import type { HashHex } from './shape.ts';

export type Validator = {
  /** SHA-256 of the public key. */
  readonly id: HashHex;
  /** For people: v1, v2, ... */
  readonly name: string;
  /** Ed25519, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Voting power, a positive integer. */
  readonly weight: number;
};

export type Committee = {
  readonly chainId: string;
  /** 0 from genesis. */
  readonly epoch: number;
  /** Ascending by id, each once. */
  readonly validators: readonly Validator[];
  /** Ids that may lead in this epoch, ascending; never empty. */
  readonly eligible: readonly HashHex[];
};

export const VALIDATORS_MAX = 100;

export const validatorId = (publicKey: Uint8Array, crypto: Pick<Crypto, 'sha256'>): HashHex =>
  hex(crypto.sha256(publicKey));

const byId = (a: { readonly id: string }, b: { readonly id: string }): number =>
  a.id < b.id ? -1 : a.id > b.id ? 1 : 0;

/** The genesis committee: everybody may lead. Throws on an empty or repeated list: genesis is checked before. */
export const committeeOf = (
  chainId: string,
  epoch: number,
  members: readonly Omit<Validator, 'id'>[],
  crypto: Pick<Crypto, 'sha256'>,
): Committee => {
  const validators = members
    .map((member) => ({ ...member, id: validatorId(member.publicKey, crypto) }))
    .sort(byId);
  const eligible = validators.map((validator) => validator.id);
  if (eligible.length === 0 || eligible.length > VALIDATORS_MAX) {
    throw new Error(`a committee has 1..${VALIDATORS_MAX} validators, this has ${eligible.length}`);
  }
  if (new Set(eligible).size !== eligible.length) throw new Error('a validator key twice');
  return { chainId, epoch, validators, eligible };
};

export const validatorOf = (committee: Committee, id: HashHex): Validator | undefined =>
  committee.validators.find((validator) => validator.id === id);

export const totalWeight = (committee: Committee): number => {
  let total = 0;
  for (const validator of committee.validators) total += validator.weight;
  return total;
};
