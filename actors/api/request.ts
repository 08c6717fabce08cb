/** What a client asks for, after its words have been checked. */
import type { NoticeView, ProjectionView, Stages } from './views.ts';

/** What the running system says of itself, read before an overview is composed. */
export type SystemFacts = {
  readonly node: string;
  readonly stages: Stages;
  readonly restarts: number;
  readonly projection: ProjectionView | null;
  readonly notices: readonly NoticeView[];
};

export type Request =
  | { readonly kind: 'ready' }
  | { readonly kind: 'blocks'; readonly from: number; readonly limit: number }
  | { readonly kind: 'latestBlock' }
  | { readonly kind: 'block'; readonly height: number }
  | { readonly kind: 'stateRoot' }
  /** `height` 0 is the head. */
  | { readonly kind: 'state'; readonly key: string; readonly height: number }
  | { readonly kind: 'validators' }
  /** By id or by name. */
  | { readonly kind: 'validator'; readonly id: string }
  | {
      readonly kind: 'anomalies';
      /** '' is every state. */
      readonly state: string;
      readonly severityMin: number;
      readonly limit: number;
      /** Detected before, Unix milliseconds; 0 is now. */
      readonly before: number;
    }
  | { readonly kind: 'anomaly'; readonly id: string }
  /** `active` undefined: all. */
  | { readonly kind: 'policies'; readonly active: boolean | undefined; readonly limit: number }
  | { readonly kind: 'policy'; readonly id: string }
  | { readonly kind: 'consensus' }
  | { readonly kind: 'killSwitch' }
  /** Who asks has shown that they may. */
  | {
      readonly kind: 'brake';
      readonly lastsS: number;
      readonly by: string;
      readonly reason: string;
    }
  | { readonly kind: 'release'; readonly by: string }
  | { readonly kind: 'overview'; readonly system: SystemFacts };

export type RequestOf<K extends Request['kind']> = Extract<Request, { readonly kind: K }>;
