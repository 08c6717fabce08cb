/** Policies: the rule as data, the guardrails around it, and where rules come from. */
export * from './policy-derivation.ts';
export * from './policy-guardrails.ts';
export * from './policy-rule.ts';
