/** Who an actor is in one of its lives, and what it is connected to. */
import type { Hand } from '#native/lanes/hand.ts';
import type { Lane } from '#native/lanes/lane.ts';
import type { MetricsWriter } from './metrics.ts';
import type { Routes } from './routes.ts';

export type Identity = {
  readonly index: number;
  readonly path: string;
  readonly incarnation: number;
  readonly routes: Routes;
  readonly inputs: readonly Lane[];
  readonly metrics: MetricsWriter;
  readonly hand: Hand;
};
