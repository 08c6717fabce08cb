/**
 * Validation results for feedback. A rejection is reported only where the message is its producer's own doing: what
 * somebody on the path has altered carries the id of the original, and a report would speak against that one.
 */
import { hex, utf8 } from '#proto/bytes.ts';
import { messageId, uuidOf } from '#proto/wire/ai-signature.ts';
import { type AiKind, TOPICS } from '#proto/wire/topics.ts';
import { parseSubject, type VerifiedMessage } from '#proto/wire/verification.ts';
import type { Item } from './intake.ts';
import { enclose, isFull } from './outbox.ts';
import type { Fx, Report, SignedReport, State } from './state.ts';

/** Failures after the signature, of a message whose content is what was signed. */
const ATTRIBUTABLE: ReadonlySet<string> = new Set([
  'unknown-producer',
  'timestamp',
  'nonce-conflict',
]);

const report = (
  state: State,
  kind: AiKind,
  id: string,
  accepted: boolean,
  reason: string,
  atMs: number,
): void => {
  if (kind === 'policy') return; // nobody waits for the result of an operator's word
  const subject = utf8(`${hex(state.publicKey ?? new Uint8Array(0))} ${id} ${reason}`);
  state.unsigned.push({
    requestId: uuidOf(state.crypto.sha256(subject)),
    anomalyId: kind === 'anomaly' ? id : '',
    evidenceId: kind === 'evidence' ? id : '',
    evidenceAccepted: accepted,
    rejectionReason: reason,
    timestamp: Math.floor(atMs / 1000),
    blockHeight: state.height,
  });
};

export const reportAccepted = (
  state: State,
  { kind, message }: VerifiedMessage,
  atMs: number,
): void => report(state, kind, message.id, true, '', atMs);

export const reportRejected = (
  state: State,
  item: Pick<Item, 'kind' | 'bytes'>,
  code: string,
  atMs: number,
): void => {
  if (!ATTRIBUTABLE.has(code)) return;
  const { producerId, contentHash } = parseSubject(item.kind, item.bytes).subject.message;
  const content = hex(contentHash);
  // What was admitted before keeps its good name, whatever a late copy looks like.
  if (state.pool.byContent.has(content) || state.nonces.contents.has(content)) return;
  report(state, item.kind, messageId(producerId, contentHash, state.crypto), false, code, atMs);
};

/** Hands the step's reports to the key; before the key is there they wait, within the bound. */
export const signReports = (state: State, fx: Fx): void => {
  const over = state.unsigned.length - state.config.reportsMax;
  if (over > 0) {
    state.unsigned.splice(state.config.reportsMax);
    fx.emit('reports_dropped', over);
  }
  if (state.publicKey === undefined || state.unsigned.length === 0) return;
  const reports: readonly Report[] = state.unsigned;
  state.unsigned = [];
  fx.io('sign', { reports });
};

export const postReports = (state: State, reports: readonly SignedReport[], fx: Fx): void => {
  for (const { key, value } of reports) {
    if (isFull(state.reports)) {
      fx.emit('reports_dropped', 1);
      continue;
    }
    enclose(state.reports, {
      topic: TOPICS.evidenceRequests,
      key,
      value,
      headers: {},
      settles: null,
    });
  }
};
