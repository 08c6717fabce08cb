/**
 * Claim: what each engine says of the flows of Wednesday, the ml engine with models trained without
 * the class that they report (and without that day's benign flows). Run: `node
 * bench/detection/flows.ts [-o json]`.
 *
 * The ensemble's rows are its votes, before incidents are put together (which asks for several flows).
 *
 * A flow counts for the engine that scores it. Windows have no label: they count for a class when
 * their address is an endpoint of a flow of that class and their span lies within the time of the
 * class.
 */
import { fileURLToPath } from 'node:url';
import { hex } from '#proto/bytes.ts';
import { FLOW, flowFirstMs, flowLastMs, recordsOf, WINDOW } from '#proto/flow-batch.ts';
import { scoreAt, THREATS, type Threat } from '#proto/threats.ts';
import { dataDir, flows as flowFile, hasData } from '#test/kit/data.ts';
import { markdown } from '../kit/markdown.ts';
import { type Batch, batchesOf } from './batches.ts';
import { ensembleOf, type Judge, mathEngine, mlEngine, rulesEngine } from './engines.ts';

const CUT = 0.7;
const LONE_CUT = 0.9;
export const BENIGN = 'BENIGN';
export const HELD_OUT = ['DoS Hulk', 'DoS GoldenEye', 'DoS Slowloris', 'DoS Slowhttptest'] as const;
/** No model was trained on it. */
const NEVER_SEEN = 'Heartbleed';
/** Name of the model that never saw the class. */
export const modelWithout = (label: string): string =>
  `ddos-without-${label.replace('DoS ', '').toLowerCase()}`;

type Tally = {
  engine: string;
  label: string;
  subjects: 'flows' | 'windows';
  count: number;
  abstained: number;
  over: number;
  overLone: number;
  threats: { [T in Threat]?: number };
  /** Where the engine did not abstain. */
  scores: number[];
};

/** Highest score of a subject and its threat; undefined when the engine abstains on all. */
const verdictOn = (
  scores: Float32Array,
  subject: number,
): readonly [Threat, number] | undefined => {
  let best: readonly [Threat, number] | undefined;
  for (const threat of THREATS) {
    const score = scoreAt(scores, subject, threat);
    if (!Number.isNaN(score) && score > (best?.[1] ?? -1)) best = [threat, score];
  }
  return best;
};

const add = (tally: Tally, scores: Float32Array, subject: number): void => {
  tally.count += 1;
  const best = verdictOn(scores, subject);
  if (best === undefined) {
    tally.abstained += 1;
    return;
  }
  const [threat, score] = best;
  tally.scores.push(score);
  if (score > LONE_CUT) tally.overLone += 1;
  if (score <= CUT) return;
  tally.over += 1;
  tally.threats[threat] = (tally.threats[threat] ?? 0) + 1;
};

export type Presence = Map<string, { fromMs: number; toMs: number }>;

/** When each address took part in flows of each class. */
export const presences = (batches: readonly Batch[], labels: readonly string[]) => {
  const byLabel = new Map<string, Presence>();
  for (const { columns, flows } of batches) {
    const view = recordsOf(columns);
    for (let row = 0; row < flows; row += 1) {
      const label = labels[FLOW.get.labelIndex(view, row)] ?? '';
      const presence = byLabel.get(label) ?? new Map();
      byLabel.set(label, presence);
      const [fromMs, toMs] = [flowFirstMs(view, row), flowLastMs(view, row)];
      for (const side of ['source', 'destination'] as const) {
        const address = hex(FLOW.address[side](view, row));
        const known = presence.get(address) ?? { fromMs, toMs };
        presence.set(address, {
          fromMs: Math.min(known.fromMs, fromMs),
          toMs: Math.max(known.toMs, toMs),
        });
      }
    }
  }
  return byLabel;
};

const labelsOfWindow = (
  view: DataView,
  row: number,
  byLabel: ReadonlyMap<string, Presence>,
): readonly string[] => {
  const address = hex(WINDOW.address.address(view, row));
  const startMs = WINDOW.get.startMs(view, row);
  const endMs = startMs + WINDOW.get.spanMs(view, row);
  const attacks = [...byLabel].filter(([label, presence]) => {
    const within = presence.get(address);
    return (
      label !== BENIGN && within !== undefined && startMs <= within.toMs && endMs >= within.fromMs
    );
  });
  return attacks.length > 0 ? attacks.map(([label]) => label) : [BENIGN];
};

const measure = async (
  engine: string,
  judge: Judge,
  only: readonly string[] | undefined,
  batches: readonly Batch[],
  labels: readonly string[],
  byLabel: ReadonlyMap<string, Presence>,
): Promise<Tally[]> => {
  const tallies = new Map<string, Tally>();
  const tallyOf = (label: string, subjects: Tally['subjects']): Tally => {
    const key = `${label}/${subjects}`;
    const zero = { count: 0, abstained: 0, over: 0, overLone: 0, threats: {}, scores: [] };
    const known = tallies.get(key) ?? { engine, label, subjects, ...zero };
    tallies.set(key, known);
    return known;
  };
  for (const batch of batches) {
    const { scores } = await judge(batch);
    const flows = recordsOf(batch.columns);
    for (let row = 0; row < batch.flows; row += 1) {
      const label = labels[FLOW.get.labelIndex(flows, row)] ?? '';
      if (only === undefined || only.includes(label)) add(tallyOf(label, 'flows'), scores, row);
    }
    const windows = recordsOf(batch.aggregates);
    for (let row = 0; row < batch.windows; row += 1) {
      for (const label of labelsOfWindow(windows, row, byLabel)) {
        if (only !== undefined && !only.includes(label)) continue;
        add(tallyOf(label, 'windows'), scores, batch.flows + row);
      }
    }
  }
  return [...tallies.values()];
};

const share = (part: number, of: number): string => (of === 0 ? '-' : (part / of).toFixed(4));

/** The quantile `q` of the scores, two digits. */
const scoreAtQuantile = (scores: readonly number[], q: number): string => {
  const sorted = scores.toSorted((a, b) => a - b);
  return sorted[Math.round(q * (sorted.length - 1))]?.toFixed(2) ?? '-';
};

const print = (rows: readonly Tally[]): void => {
  const head = ['engine', 'class', 'subjects', 'count', 'abstains'];
  const scored = ['score p10', 'p50', 'p90', '> .70', '> .90', 'threats > .70'];
  const lines = rows.map((row) => {
    const { engine, label, subjects, count, abstained, over, overLone, threats, scores } = row;
    const named = Object.entries(threats).map(([threat, n]) => `${threat} ${n}`);
    const quantiles = [0.1, 0.5, 0.9].map((q) => scoreAtQuantile(scores, q));
    const shares = [over, overLone].map((n) => share(n, count));
    const cells = [engine, label, subjects, count, share(abstained, count)];
    return [...cells, ...quantiles, ...shares, named.join(', ') || '-'];
  });
  console.log(markdown([...head, ...scored], lines));
};

const main = async (): Promise<void> => {
  if (!hasData) throw new Error(`no data in ${dataDir}: set CYBERMESH_DATA`);
  const { batches, labels } = batchesOf(flowFile('wed'));
  const byLabel = presences(batches, labels);
  const rows: Tally[] = [];
  for (const { name, judge } of [rulesEngine(), mathEngine()]) {
    rows.push(...(await measure(name, judge, undefined, batches, labels, byLabel)));
  }
  for (const label of HELD_OUT) {
    const model = modelWithout(label);
    const only = [label, NEVER_SEEN, BENIGN];
    const ml = await mlEngine(model);
    const alone = await measure(model, ml.judge, only, batches, labels, byLabel);
    rows.push(...alone.filter(({ subjects }) => subjects === 'flows'));
    const together = ensembleOf([rulesEngine(), mathEngine(), ml]);
    const name = `ensemble, ${model}`;
    rows.push(...(await measure(name, together, only, batches, labels, byLabel)));
  }
  rows.sort((a, b) => a.subjects.localeCompare(b.subjects) || a.label.localeCompare(b.label));
  if (process.argv.includes('json'))
    console.log(JSON.stringify(rows.map(({ scores: _, ...row }) => row)));
  else print(rows);
};

if (process.argv[1] === fileURLToPath(import.meta.url)) await main();
