import { expect, test } from 'vitest';
import { reportOf, reportTable } from '#runtime/metrics/report.ts';
import { sampleSnapshot } from '#test/kit/snapshots.ts';

test('the report has the stages of the pipeline; of several validators the one that is furthest', () => {
  expect(reportOf(sampleSnapshot()).stages).toEqual({
    flows: 1000,
    vectors: 990,
    detections: 0,
    published: 0,
    admitted: 0,
    rejected: 0,
    committed: 5,
    policies: 4,
    applied: 0,
    acked: 0,
  });
});

test('the report has what agreement did, and null where nothing was observed', () => {
  const report = reportOf(sampleSnapshot());
  expect(report.consensus).toEqual({
    height: 9,
    blocks: 9,
    views: 12,
    viewChanges: 0,
    commitLatencyMs: { p50: 25, p99: 50 },
  });
  expect(report.latencyMs).toEqual({
    flowToCommit: null,
    commitToApply: null,
    heardToApplied: null,
    commitToFeedback: null,
  });
});

test('the report names every actor, the dead letters and the state root of each validator', () => {
  const report = reportOf(sampleSnapshot());
  expect(report.actors).toEqual([
    { name: 'features', restarts: 0, mailboxDepthMax: 3, messages: 7 },
    { name: 'v1.executor', restarts: 0, mailboxDepthMax: 0, messages: 0 },
    { name: 'v2.executor', restarts: 2, mailboxDepthMax: 0, messages: 0 },
  ]);
  expect(report.deadLetters).toEqual({ total: 2, byReason: { 'no-such-actor': 2 } });
  expect(report.stateRoots).toEqual({ v1: 'aa11', v2: 'aa11' });
});

test('the table says whether state roots are equal', () => {
  const snapshot = sampleSnapshot();
  expect(reportTable(reportOf(snapshot))).toContain('State roots (equal)');
  const report = { ...reportOf(snapshot), stateRoots: { v1: 'aa', v2: 'bb' } };
  expect(reportTable(report)).toContain('State roots (2 different)');
});
