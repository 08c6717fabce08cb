/** Whose key is whose, by the genesis file. */
import { hex } from './bytes.ts';
import type { Genesis } from './genesis.ts';
import type { KeyRole } from './wire/control.ts';

export type RoleBook = {
  readonly validators: number;
  /** undefined for a key that nobody registered. */
  readonly roleOf: (publicKey: Uint8Array) => KeyRole | undefined;
  /** The name that genesis gives the key, '' for an unknown one. */
  readonly nameOf: (publicKey: Uint8Array) => string;
};

export const roleBook = (genesis: Pick<Genesis, 'validators' | 'producers'>): RoleBook => {
  const roles = new Map<string, KeyRole>();
  const names = new Map<string, string>();
  for (const one of genesis.producers) {
    roles.set(one.publicKey, one.role);
    names.set(one.publicKey, one.name);
  }
  for (const one of genesis.validators) {
    roles.set(one.publicKey, 'validator');
    names.set(one.publicKey, one.name);
  }
  return {
    validators: genesis.validators.length,
    roleOf: (publicKey) => roles.get(hex(publicKey)),
    nameOf: (publicKey) => names.get(hex(publicKey)) ?? '',
  };
};
