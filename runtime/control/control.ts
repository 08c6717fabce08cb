/** The control plane of a running node: calls through a Unix socket in its dataDir, readable by its owner only. */
import { join } from 'node:path';
import type { Remote } from 'comlink';
import type { NodeSettings, SystemView, TreeNode } from '../actor.ts';
import type { DeadLetters, Notice } from '../events.ts';
import type { Facts } from '../system/record.ts';
import { INSIDE_CALLS, type Inside } from './inside.ts';
import { type CallServer, connectCalls, serveCalls } from './local-calls.ts';

const CALL_DEADLINE_MS = 2000;

export const controlPath = (dataDir: string): string => join(dataDir, 'control.sock');

export type NodeStatus = {
  /** Its name, node.name of the topology. */
  readonly node: string;
  readonly pid: number;
  readonly uptimeS: number;
  readonly state: TreeNode['state'];
  readonly facts: Facts;
  readonly deadLetters: DeadLetters;
};

/** What a running node answers. */
export type ControlCalls = SystemView & Inside & { status(): Promise<NodeStatus> };

/** The part of a system that the socket shows. */
export type Shown = {
  tree(): TreeNode;
  metricsText(): string;
  notices(): readonly Notice[];
  facts(): Facts;
  deadLetters(): DeadLetters;
  readonly inside: Inside;
};

export type ControlServer = CallServer;

/** Serves a system. Replaces a socket that nobody listens on; the lock on dataDir is the caller's. */
export const serveControl = (
  { name, dataDir }: Pick<NodeSettings, 'name' | 'dataDir'>,
  system: Shown,
): Promise<ControlServer> => {
  const calls: ControlCalls = {
    ...system.inside,
    tree: async () => system.tree(),
    metrics: async () => system.metricsText(),
    notices: async () => system.notices(),
    status: async () => ({
      node: name,
      pid: process.pid,
      uptimeS: process.uptime(),
      state: system.tree().state,
      facts: system.facts(),
      deadLetters: system.deadLetters(),
    }),
  };
  return serveCalls(controlPath(dataDir), calls);
};

/** Looking into a node may take longer than asking how it is. */
const INSIDE_DEADLINE_MS = 10_000;
type Deadline = <T>(work: Promise<T>, what: string, deadlineMs?: number) => Promise<T>;

const insideCalls = (remote: Remote<ControlCalls>, call: Deadline): Inside => {
  const calls = INSIDE_CALLS.map((name) => {
    const ask = remote[name] as (...given: unknown[]) => Promise<unknown>;
    return [name, (...given: unknown[]) => call(ask(...given), name, INSIDE_DEADLINE_MS)] as const;
  });
  return Object.fromEntries(calls) as unknown as Inside;
};

export type ControlClient = ControlCalls & { close(): void };

/**
 * Connects to the node that runs on `dataDir`; rejects when there is none. Every call rejects after 2,000 ms, those of the
 * inside after 10,000.
 */
export const connectControl = async (dataDir: string): Promise<ControlClient> => {
  const { remote, within, close } = await connectCalls<ControlCalls>(controlPath(dataDir));
  const call: Deadline = (work, what, deadlineMs = CALL_DEADLINE_MS) =>
    within(work, deadlineMs, what);
  return {
    tree: () => call(remote.tree(), 'tree'),
    metrics: () => call(remote.metrics(), 'metrics'),
    notices: () => call(remote.notices(), 'notices'),
    status: () => call(remote.status(), 'status'),
    ...insideCalls(remote, call),
    close,
  };
};
