/** Label selectors: whether a pod could be meant by two of them. Pure. */

/** As the API has it: all of it holds at once. */
export type Selector = {
  readonly matchLabels?: { readonly [key: string]: string };
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
};

/** What one key may be. */
type Constraint = {
  mayLack: boolean;
  /** undefined: any value. */
  among: ReadonlySet<string> | undefined;
  readonly not: Set<string>;
  mustLack: boolean;
};

/**
 * False only where no labels whatever satisfy both: exact, because selectors are conjunctions and keys are
 * independent. Which pods there are now does not matter: the next one may be both.
 */
export const canMeet = (a: Selector, b: Selector): boolean => {
  const keys = new Map<string, Constraint>();
  for (const selector of [a, b]) {
    for (const [key, value] of Object.entries(selector.matchLabels ?? {})) {
      among(constraintOf(keys, key), [value]);
    }
    for (const { key, operator, values = [] } of selector.matchExpressions ?? []) {
      narrow(constraintOf(keys, key), operator, values);
    }
  }
  return [...keys.values()].every(isPossible);
};

const constraintOf = (keys: Map<string, Constraint>, key: string): Constraint => {
  const known = keys.get(key);
  if (known !== undefined) return known;
  const free = { mayLack: true, among: undefined, not: new Set<string>(), mustLack: false };
  keys.set(key, free);
  return free;
};

const among = (constraint: Constraint, values: readonly string[]): void => {
  constraint.mayLack = false;
  const before = constraint.among;
  constraint.among = new Set(values.filter((value) => before?.has(value) ?? true));
};

/** An operator that nobody knows narrows nothing: rather a meeting too many. */
const narrow = (constraint: Constraint, operator: string, values: readonly string[]): void => {
  if (operator === 'In') among(constraint, values);
  else if (operator === 'NotIn') for (const value of values) constraint.not.add(value);
  else if (operator === 'Exists') constraint.mayLack = false;
  else if (operator === 'DoesNotExist') constraint.mustLack = true;
};

const isPossible = ({ mayLack, mustLack, among: values, not }: Constraint): boolean => {
  if (mustLack) return mayLack;
  if (mayLack || values === undefined) return true;
  return [...values].some((value) => !not.has(value));
};
