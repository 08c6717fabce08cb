/**
 * Claim: each denial of service among the labelled flows of Wednesday ends as committed anomalies, with the ml engine
 * on a model that never saw its class. One run of the whole node for each model; what the engines say of each flow is
 * `bench/detection/flows.ts`.
 *
 *   node bench/wednesday.ts [-o json]
 *
 * An anomaly counts for a class when one of its ends took part in flows of that class and what it saw last lies within
 * their time; where it counts for none, it is a false alert. One attacker on one target is one incident that grows: its
 * further anomalies count, too, each for the class of its own time.
 */
import { parseArgs } from 'node:util';
import type { AnomalyPayload } from '#proto/anomaly-payload.ts';
import { hex } from '#proto/bytes.ts';
import { parseIp } from '#proto/ip.ts';
import { discrepancies, runSource, type SourceRun, warningsOf } from '#test/kit/capture-run.ts';
import { dataDir, flows, hasData } from '#test/kit/data.ts';
import { batchesOf } from './detection/batches.ts';
import { BENIGN, HELD_OUT, modelWithout, type Presence, presences } from './detection/flows.ts';
import { markdown } from './kit/markdown.ts';
import { provenance } from './kit/provenance.ts';

const RUN_S = 120;

type Row = {
  readonly model: string;
  readonly label: string;
  readonly anomalies: readonly AnomalyPayload[];
};
type ModelRun = {
  readonly model: string;
  readonly run: SourceRun;
  readonly faults: readonly string[];
};

const classesOf = (
  { src_ip, dst_ip, last_seen_ms }: AnomalyPayload,
  byLabel: ReadonlyMap<string, Presence>,
): readonly string[] => {
  const ends = [src_ip, dst_ip].flatMap((text) => parseIp(text) ?? []).map(hex);
  return [...byLabel.keys()].filter((label) => {
    const times = ends.flatMap((end) => byLabel.get(label)?.get(end) ?? []);
    return (
      label !== BENIGN &&
      times.some(({ fromMs, toMs }) => last_seen_ms >= fromMs && last_seen_ms <= toMs)
    );
  });
};

const rowsOf = (
  { model, run }: ModelRun,
  byLabel: ReadonlyMap<string, Presence>,
): readonly Row[] => {
  const labels = [...byLabel.keys()].filter((label) => label !== BENIGN).sort();
  const committed = new Set(run.fates.committed);
  const found = [...run.payloads]
    .filter(([id]) => committed.has(id))
    .map(([, anomaly]) => ({ anomaly, classes: classesOf(anomaly, byLabel) }));
  const rows = labels.map((label) => ({
    model,
    label,
    anomalies: found.flatMap((one) => (one.classes.includes(label) ? [one.anomaly] : [])),
  }));
  const none = found.flatMap((one) => (one.classes.length === 0 ? [one.anomaly] : []));
  return [...rows, { model, label: 'none of them', anomalies: none }];
};

const described = ({ type, src_ip, dst_ip, confidence, engines }: AnomalyPayload): string => {
  const voices = engines.map(({ engine, score }) => `${engine} ${score.toFixed(2)}`).join(', ');
  return `${type} ${src_ip || '*'} > ${dst_ip || '*'}, confidence ${confidence.toFixed(2)} (${voices})`;
};

const classTable = (rows: readonly Row[]): string =>
  markdown(
    ['model', 'class', 'anomalies', 'new incidents', 'the first of them'],
    rows.map(({ model, label, anomalies }) => {
      const [first] = anomalies;
      const begun = anomalies.filter(({ previous }) => previous === '').length;
      const isUnseen = HELD_OUT.some((one) => one === label && modelWithout(one) === model);
      const text = first === undefined ? '-' : described(first);
      return [model, isUnseen ? `**${label}** (unseen)` : label, anomalies.length, begun, text];
    }),
  );

const runTable = (runs: readonly ModelRun[]): string =>
  markdown(
    [
      'model',
      'flows',
      'published',
      'committed',
      'rejected',
      'timed out',
      'policies',
      'acked',
      's',
      'faults',
    ],
    runs.map(({ model, run, faults }) => {
      const { published, committed, rejected, open, policies, acks } = run.fates;
      const counts = [published.length, committed.length, rejected.size, open.length];
      const ends = [policies.size, acks.applied.length, (run.tookMs / 1000).toFixed(1)];
      return [model, run.report.stages.flows, ...counts, ...ends, faults.join('; ') || '-'];
    }),
  );

const main = async (): Promise<void> => {
  if (!hasData) throw new Error(`no data in ${dataDir}: set CYBERMESH_DATA`);
  const { values } = parseArgs({ options: { o: { type: 'string', short: 'o' } } });
  const { batches, labels } = batchesOf(flows('wed'));
  const byLabel = presences(batches, labels);
  const runs: ModelRun[] = [];
  for (const label of HELD_OUT) {
    const model = modelWithout(label);
    const ml = 'detection.engines.ml.config';
    const set = [`${ml}.model=${model}`, `${ml}.evaluation=true`];
    const run = await runSource(`flows:${flows('wed')}`, { forS: RUN_S, set });
    runs.push({ model, run, faults: discrepancies(run) });
    console.error(`${model} (${(run.tookMs / 1000).toFixed(1)} s) ${warningsOf(run).join('; ')}`);
  }
  const rows = runs.flatMap((one) => rowsOf(one, byLabel));
  if (values.o === 'json') console.log(JSON.stringify({ at: provenance(), rows }));
  else console.log([provenance(), classTable(rows), runTable(runs)].join('\n\n'));
  const isMissed = ({ model, label, anomalies }: Row): boolean =>
    anomalies.length === 0 && HELD_OUT.some((one) => one === label && modelWithout(one) === model);
  if (rows.some(isMissed) || runs.some(({ faults }) => faults.length > 0)) process.exitCode = 1;
};

await main();
