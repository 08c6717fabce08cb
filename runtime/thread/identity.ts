/** Who an actor is in one of its lives, and what it is connected to. */
import type { Hand } from '#native/lanes/hand.ts';
import type { Lane } from '#native/lanes/lane.ts';
import type { Receipts } from '../mailbox/receipts.ts';
import type { Routes } from '../mailbox/routes.ts';
import type { Directory, ServiceUser } from '../mailbox/services.ts';
import type { MetricsWriter } from '../metrics/metrics.ts';

export type Identity = ServiceUser & {
  readonly routes: Routes;
  readonly inputs: readonly Lane[];
  readonly metrics: MetricsWriter;
  readonly hand: Hand;
  readonly receipts: Receipts;
  readonly directory: Directory;
  /** Its part of the table of open questions. */
  readonly openAsks: Int32Array;
  readonly stashMax: number;
  /** URL of the module whose default export it is, and its settings. */
  readonly module: string;
  readonly config: unknown;
};
