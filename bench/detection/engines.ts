/** The three engines without threads: each takes a batch and gives its verdict. */
import { readFileSync } from 'node:fs';
import { config as ensembleConfig } from '#actors/ensemble/config.ts';
import type { Engine as EngineName } from '#actors/ensemble/protocol.ts';
import { vote } from '#actors/ensemble/vote.ts';
import { config as mathConfig } from '#actors/math/config.ts';
import { core as mathCore } from '#actors/math/core.ts';
import { config as mlConfig } from '#actors/ml/config.ts';
import { type Commands, type Self as MlSelf, core as mlCore } from '#actors/ml/core.ts';
import { gather } from '#actors/ml/selection.ts';
import { OWN_MODELS, openModel } from '#actors/ml/session.ts';
import { config as rulesConfig } from '#actors/rules/config.ts';
import { type Self as RulesSelf, core as rulesCore } from '#actors/rules/core.ts';
import { pathOf } from '#actors/rules/io.ts';
import { crypto } from '#native/crypto.ts';
import { hex, utf8 } from '#proto/bytes.ts';
import { floatsOf } from '#proto/flow-batch.ts';
import { newScores, scoreAt, setScore, THREATS } from '#proto/threats.ts';
import { type Recorded, recorder } from '#runtime/recorder.ts';
import type { Batch } from './batches.ts';

/** Row-major subjects x threats, NaN = abstains. */
export type Judgement = { readonly scores: Float32Array; readonly confidences: Float32Array };
export type Judge = (batch: Batch) => Promise<Judgement>;
export type Engine = { readonly name: EngineName; readonly judge: Judge };

type Verdict = {
  readonly abstained: boolean;
  readonly scores: Uint8Array;
  readonly confidences: Uint8Array;
};

const judgementIn = (log: readonly Recorded[], batch: Batch): Judgement => {
  const told = log.find(({ effect, to }) => effect === 'tell' && to === 'ensemble');
  if (told === undefined) throw new Error(`no verdict on batch ${batch.seq}`);
  const { abstained, scores, confidences } = told.message as Verdict;
  if (!abstained) return { scores: floatsOf(scores), confidences: floatsOf(confidences) };
  const nothing = newScores(batch.flows + batch.windows);
  return { scores: nothing, confidences: nothing };
};

export const rulesEngine = (): Engine => {
  const settings = rulesConfig.parse({});
  const state = rulesCore.init(settings);
  const fx = recorder<RulesSelf>();
  const text = readFileSync(pathOf(settings.file), 'utf8');
  const sha256 = hex(crypto.sha256(utf8(text)));
  rulesCore.step(state, { kind: 'file', text, sha256 }, fx, 0);
  fx.take();
  const judge = async (batch: Batch): Promise<Judgement> => {
    rulesCore.step(state, batch, fx, 0);
    return judgementIn(fx.take(), batch);
  };
  return { name: 'rules', judge };
};

export const mathEngine = (): Engine => {
  const state = mathCore.init(mathConfig.parse({}));
  const fx = recorder<Batch>();
  const judge = async (batch: Batch): Promise<Judgement> => {
    mathCore.step(state, batch, fx, 0);
    return judgementIn(fx.take(), batch);
  };
  return { name: 'math', judge };
};

/** With a model of the manifest; those that are for evaluation only are allowed here. */
export const mlEngine = async (name: string): Promise<Engine> => {
  const opened = await openModel(OWN_MODELS, name, true);
  const state = mlCore.init(mlConfig.parse({ model: name, evaluation: true }));
  const fx = recorder<MlSelf, Commands>();
  const { manifest, model } = opened;
  mlCore.step(state, { kind: 'opened', manifest, model }, fx, 0);
  fx.take();
  const judge = async (batch: Batch): Promise<Judgement> => {
    mlCore.step(state, batch, fx, 0);
    const asked = fx.log_.find(({ effect }) => effect === 'io');
    if (asked === undefined) return judgementIn(fx.take(), batch);
    const { ticket, vectors, rows, explainFrom } = asked.argument as Commands['score'];
    const all = floatsOf(vectors);
    const startedMs = performance.now();
    const scores = await opened.run(gather(all, rows));
    const tookMs = performance.now() - startedMs;
    const high = [...rows].filter((_, k) => (scores[k] ?? 0) >= explainFrom);
    const copies = gather(all, high);
    mlCore.step(state, { kind: 'scored', ticket, scores, vectors: copies, tookMs }, fx, 0);
    return judgementIn(fx.take(), batch);
  };
  return { name: 'ml', judge };
};

/**
 * The ensemble's vote on each subject, before incidents are put together. A score is the vote's confidence where it
 * would be published, and 0 where it would not.
 */
export const ensembleOf = (engines: readonly Engine[]): Judge => {
  const settings = ensembleConfig.parse({});
  return async (batch) => {
    const subjects = batch.flows + batch.windows;
    const said: (Judgement & { readonly engine: EngineName })[] = [];
    for (const { name, judge } of engines) said.push({ engine: name, ...(await judge(batch)) });
    const scores = newScores(subjects);
    for (let subject = 0; subject < subjects; subject += 1) {
      for (const threat of THREATS) {
        const opinions = said.map((one) => ({
          engine: one.engine,
          score: scoreAt(one.scores, subject, threat),
          confidence: scoreAt(one.confidences, subject, threat),
          reasons: [],
        }));
        const result = vote(settings, threat, opinions);
        if (result !== undefined) {
          setScore(scores, subject, threat, result.publish ? result.confidence : 0);
        }
      }
    }
    return { scores, confidences: scores };
  };
};
