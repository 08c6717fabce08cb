/** The rule table: YAML to checked rules. Every mistake is named with its place. */
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { err, ok, type Result } from '#proto/result.ts';
import { THREATS } from '#proto/threats.ts';
import {
  FLOW_STATISTICS,
  type FlowStatistic,
  WINDOW_STATISTICS,
  type WindowStatistic,
} from './statistics.ts';

const name = z.string().regex(/^[a-z][a-z0-9_]{0,63}$/, 'lower case, digits and _');
const technique = z.string().regex(/^T\d{4}(\.\d{3})?$/, 'an ATT&CK technique, as T1046');

const conditionSchema = z.strictObject({
  statistic: z.string(),
  atLeast: z.number().optional(),
  atMost: z.number().optional(),
});

const common = {
  name,
  threat: z.enum(THREATS),
  technique,
  limit: z.number().positive().describe('score 0.5 here'),
  unit: z.string().min(1).max(32),
};

const schema = z.strictObject({
  version: z.literal(1),
  severity: z.record(z.enum(THREATS), z.int().min(1).max(10)),
  ddosSourcesMin: z.int().min(1),
  windows: z
    .array(
      z.strictObject({
        ...common,
        side: z.enum(['source', 'destination']),
        spanMs: z.union([z.literal(1_000), z.literal(10_000), z.literal(60_000)]),
        value: z.string(),
        where: z.array(conditionSchema).max(8).default([]),
      }),
    )
    .max(128),
  flows: z
    .array(
      z.strictObject({
        ...common,
        windowMs: z.int().min(1_000).max(600_000),
        where: z.array(conditionSchema).min(1).max(8),
      }),
    )
    .max(32),
});

export type Condition<S> = {
  readonly statistic: string;
  readonly of: S;
  readonly atLeast: number;
  readonly atMost: number;
};

type Parsed = z.output<typeof schema>;
export type WindowRule = Omit<Parsed['windows'][number], 'where' | 'value'> & {
  readonly feature: string;
  readonly of: WindowStatistic;
  readonly where: readonly Condition<WindowStatistic>[];
};
export type FlowRule = Omit<Parsed['flows'][number], 'where'> & {
  readonly where: readonly Condition<FlowStatistic>[];
};

export type RuleSet = {
  /** SHA-256 of the file, hex: what evidence cites. */
  readonly sha256: string;
  readonly severity: Parsed['severity'];
  readonly ddosSourcesMin: number;
  readonly windows: readonly WindowRule[];
  readonly flows: readonly FlowRule[];
};

const bind = <S>(
  known: ReadonlyMap<string, S>,
  conditions: readonly z.output<typeof conditionSchema>[],
  place: string,
  problems: string[],
): Condition<S>[] =>
  conditions.flatMap(({ statistic, atLeast, atMost }, i) => {
    const of = known.get(statistic);
    if (of === undefined) {
      problems.push(`${place}.where[${i}]: no statistic is called ${statistic}`);
      return [];
    }
    if (atLeast === undefined && atMost === undefined) {
      problems.push(`${place}.where[${i}]: needs atLeast or atMost`);
    }
    return [
      {
        statistic,
        of,
        atLeast: atLeast ?? Number.NEGATIVE_INFINITY,
        atMost: atMost ?? Number.POSITIVE_INFINITY,
      },
    ];
  });

const bindWindows = (parsed: Parsed, problems: string[]): WindowRule[] =>
  parsed.windows.flatMap(({ where, value, ...rest }, i) => {
    const of = WINDOW_STATISTICS.get(value);
    if (of === undefined) {
      problems.push(`windows[${i}].value: no statistic is called ${value}`);
      return [];
    }
    const conditions = bind(WINDOW_STATISTICS, where, `windows[${i}]`, problems);
    return [{ ...rest, feature: value, of, where: conditions }];
  });

/** `text` is the file, `sha256` its hash. The error lists every mistake, one a line. */
export const parseRules = (text: string, sha256: string): Result<RuleSet, string> => {
  const document = parseDocument(text, { uniqueKeys: true });
  if (document.errors.length > 0) return err(document.errors.map((e) => e.message).join('\n'));
  const parsed = schema.safeParse(document.toJS({ maxAliasCount: 0 }));
  if (!parsed.success) {
    const lines = parsed.error.issues.map((i) => `${i.path.join('.') || 'file'}: ${i.message}`);
    return err(lines.join('\n'));
  }
  const problems: string[] = [];
  const windows = bindWindows(parsed.data, problems);
  const flows = parsed.data.flows.map(({ where, ...rest }, i) => ({
    ...rest,
    where: bind(FLOW_STATISTICS, where, `flows[${i}]`, problems),
  }));
  const names = [...windows, ...flows].map((rule) => rule.name);
  for (const twice of names.filter((one, i) => names.indexOf(one) !== i)) {
    problems.push(`${twice}: two rules have this name`);
  }
  if (problems.length > 0) return err(problems.join('\n'));
  const { severity, ddosSourcesMin } = parsed.data;
  return ok({ sha256, severity, ddosSourcesMin, windows, flows });
};
