/** One answer for a dashboard: what is there is shown, what is missing is named. */
import { hex } from '#proto/bytes.ts';
import { decodeCommittedList } from '#proto/consensus/committed.ts';
import type { Json } from '#proto/json.ts';
import {
  type Answers,
  type Context,
  give,
  jsonOf,
  type Outcome,
  type Want,
  want,
} from './answers.ts';
import { blockSummary } from './chain-views.ts';
import { consensusView, wantStatuses } from './committee-answers.ts';
import type { SystemFacts } from './request.ts';

const BLOCKS_SHOWN = 5;
const POLICIES_SHOWN = 10;
const NOTICES_SHOWN = 10;

const firstWants = (c: Context): readonly Want[] => [
  { part: 'head' },
  { part: 'policies', limit: POLICIES_SHOWN },
  { part: 'enforcement' },
  { part: 'feedback' },
  ...wantStatuses(c),
];

export const composeOverview = (system: SystemFacts, have: Answers, c: Context): Outcome => {
  const { head, read, policies, enforcement, feedback } = have;
  if (head === undefined) return want(...firstWants(c));
  if (head.ok && read === undefined) {
    const from = Math.max(1, head.value.height - BLOCKS_SHOWN + 1);
    return want({ part: 'read', from, limit: BLOCKS_SHOWN });
  }
  const consensus = consensusView(have, c);
  const missing = Object.entries({ executor: head, policies, enforcement, feedback })
    .filter(([, answer]) => answer?.ok !== true)
    .map(([name]) => name);
  return give({
    atMs: c.atMs,
    node: system.node,
    stages: system.stages,
    restarts: system.restarts,
    height: head.ok ? head.value.height : null,
    stateRoot: head.ok ? hex(head.value.stateRoot) : null,
    blocks: read?.ok
      ? decodeCommittedList(read.value.blocks).map((one) => blockSummary(one, c.crypto))
      : null,
    consensus: consensus ?? null,
    policies: policies?.ok ? jsonOf<Json[]>(policies.value.policies) : null,
    enforcement: enforcement?.ok ? jsonOf<Json>(enforcement.value.json) : null,
    feedback: feedback?.ok ? jsonOf<Json>(feedback.value.json) : null,
    projection: system.projection,
    notices: system.notices.slice(-NOTICES_SHOWN),
    missing: [
      ...missing,
      ...(system.projection === null ? ['projection'] : []),
      ...(consensus === undefined ? ['replicas'] : []),
    ],
  });
};
