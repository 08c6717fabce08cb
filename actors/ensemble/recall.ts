/**
 * What an engine said of an address not long ago, so that a flow hears what its window said (rules, math) and a window
 * what its flows said (ml): one attack, seen twice. Only what speaks for an attack is remembered: that a
 * host was not flooded says nothing about one of its flows.
 */
import type { Engine } from './protocol.ts';
import type { Opinion, Reason } from './vote.ts';

type Remembered = {
  score: number;
  confidence: number;
  reasons: readonly Reason[];
  count: number;
  atMs: number;
};

export type Recall = { readonly said: Map<string, Remembered>; readonly entriesMax: number };

export const newRecall = (entriesMax: number): Recall => ({ said: new Map(), entriesMax });

/** Above this an opinion is worth remembering. */
export const RECALLED_FROM = 0.5;
/** Flows are known when they end, up to 120 s after what their windows showed. */
const RECALL_MAX_MS = 120_000;
/** Weight of the newest score in the mean over the flows of an address. */
const NEWEST_WEIGHT = 0.1;

/** `key`: family and address. Scores of one engine are averaged, newer ones weigh more. */
export const remember = (recall: Recall, key: string, opinion: Opinion, atMs: number): void => {
  const place = `${opinion.engine}|${key}`;
  const known = recall.said.get(place);
  recall.said.delete(place);
  const { score, confidence, reasons } = opinion;
  if (known === undefined || Math.abs(atMs - known.atMs) > RECALL_MAX_MS) {
    if (recall.said.size >= recall.entriesMax) {
      const oldest = recall.said.keys().next();
      if (!oldest.done) recall.said.delete(oldest.value);
    }
    recall.said.set(place, { score, confidence, reasons, count: 1, atMs });
    return;
  }
  known.score += NEWEST_WEIGHT * (score - known.score);
  known.confidence = Math.max(known.confidence, confidence);
  known.reasons = reasons;
  known.count += 1;
  known.atMs = Math.max(known.atMs, atMs);
  recall.said.set(place, known);
};

/** What the engine said of it, at least `countMin` times, around `atMs` of capture time. */
export const recalled = (
  recall: Recall,
  engine: Engine,
  key: string,
  atMs: number,
  countMin: number,
): Opinion | undefined => {
  const known = recall.said.get(`${engine}|${key}`);
  if (known === undefined || known.count < countMin) return undefined;
  if (Math.abs(atMs - known.atMs) > RECALL_MAX_MS) return undefined;
  const { score, confidence, reasons } = known;
  return { engine, score, confidence, reasons };
};
