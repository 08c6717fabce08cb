/** Interleaved rounds: every side is measured once a round, one after the other, so that all meet the same machine. */

export type Figures = { readonly [name: string]: number };

export type Party = {
  readonly name: string;
  readonly measure: () => Promise<Figures>;
};

export type Measurements = {
  /** All rounds of one figure of one party. */
  of(party: string, figure?: string): readonly number[];
  has(party: string): boolean;
};

/** `warm` rounds are run and forgotten. */
export const interleave = async (
  parties: readonly Party[],
  rounds: number,
  warm = 0,
): Promise<Measurements> => {
  const values = new Map<string, number[]>();
  for (let round = -warm; round < rounds; round++) {
    for (const { name, measure } of parties) {
      const figures = await measure();
      if (round < 0) continue;
      for (const [figure, value] of Object.entries(figures)) {
        const key = `${name} ${figure}`;
        values.set(key, [...(values.get(key) ?? []), value]);
      }
    }
  }
  const names = new Set(parties.map((party) => party.name));
  return {
    has: (party) => names.has(party),
    of: (party, figure = 'rate') => {
      const found = values.get(`${party} ${figure}`);
      if (found === undefined) throw new RangeError(`${party} has not measured ${figure}`);
      return found;
    },
  };
};
