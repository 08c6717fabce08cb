/**
 * Detections between the decision and the signer's answer. Of one batch one is on its way at a time, so that an answer
 * with a new id belongs to it beyond doubt; telling it again after a crash of the signer may be answered
 * twice, with the same id. A growing incident waits until the id of its first telling is known.
 */
import type { signer } from '#actors/signer/protocol.ts';
import type { MessagesTo } from '#runtime/actor.ts';
import { payloadBytes, type Telling } from './evidence.ts';

type Batch = { readonly waiting: Waiting[]; readonly answeredIds: Set<string> };
type Waiting = { readonly seq: number; readonly telling: Telling };

export type Outbox = {
  /** By batch, in the order of the decisions; the first of a batch may be on its way. */
  readonly bySeq: Map<number, Batch>;
  /** Batches whose first one was told and not answered. */
  readonly sent: Set<number>;
  /** Id of the first telling by incident; '' = it was dropped. */
  readonly ids: Map<number, string>;
  /** Incidents whose first telling waits here. */
  readonly awaited: Set<number>;
  readonly idsMax: number;
};

export const newOutbox = (idsMax: number): Outbox => ({
  bySeq: new Map(),
  sent: new Set(),
  ids: new Map(),
  awaited: new Set(),
  idsMax,
});

export const clearOutbox = (outbox: Outbox): void => {
  outbox.bySeq.clear();
  outbox.sent.clear();
  outbox.ids.clear();
  outbox.awaited.clear();
};

/** What the signer is told, but for the epoch. */
export type Detection = Omit<
  Extract<MessagesTo<typeof signer>, { readonly kind: 'detection' }>,
  'kind' | 'epoch'
>;

export const enqueue = (outbox: Outbox, seq: number, tellings: readonly Telling[]): void => {
  if (tellings.length === 0) return;
  for (const { telling, incident } of tellings) if (telling === 1) outbox.awaited.add(incident);
  const waiting = tellings.map((telling) => ({ seq, telling }));
  outbox.bySeq.set(seq, { waiting, answeredIds: new Set() });
};

const detectionOf = ({ seq, telling }: Waiting, previous: string): Detection => ({
  seq,
  payload: payloadBytes(telling, previous),
  evidence: telling.evidence,
  entity: telling.entity,
  type: telling.payload.type,
  severity: telling.payload.severity,
  confidence: telling.payload.confidence,
  modelVersion: telling.payload.model_version,
});

/** What can be told now and was not yet; it counts as told. */
export const due = (outbox: Outbox): Detection[] => {
  const detections: Detection[] = [];
  for (const [seq, { waiting }] of outbox.bySeq) {
    const first = waiting[0];
    if (first === undefined || outbox.sent.has(seq)) continue;
    const { telling, incident } = first.telling;
    if (telling > 1 && outbox.awaited.has(incident)) continue;
    const previous = telling > 1 ? (outbox.ids.get(incident) ?? '') : '';
    outbox.sent.add(seq);
    detections.push(detectionOf(first, previous));
  }
  return detections;
};

/** The signer has terminated: what was told and not answered is due again. */
export const unsend = (outbox: Outbox): void => outbox.sent.clear();

/**
 * The signer's answer: the detection of that batch that was on its way has the id `id`. `kept`: it is cited as that.
 * False when nothing was on its way, or that answer was had before.
 */
export const answered = (outbox: Outbox, seq: number, id: string, kept: boolean): boolean => {
  const batch = outbox.bySeq.get(seq);
  if (batch === undefined || batch.answeredIds.has(id) || !outbox.sent.delete(seq)) return false;
  batch.answeredIds.add(id);
  const { waiting } = batch;
  const first = waiting.shift();
  if (first !== undefined && first.telling.telling === 1) {
    if (outbox.ids.size >= outbox.idsMax) {
      const oldest = outbox.ids.keys().next();
      if (!oldest.done) outbox.ids.delete(oldest.value);
    }
    outbox.ids.set(first.telling.incident, kept ? id : '');
    outbox.awaited.delete(first.telling.incident);
  }
  if (waiting.length === 0) outbox.bySeq.delete(seq);
  return true;
};

export const isEmpty = (outbox: Outbox): boolean => outbox.bySeq.size === 0;
