/** Reads what an overview shows out of Prometheus text: no actor is asked, however busy it is. */
import { STAGES } from '#runtime/metrics/snapshot.ts';
import type { ProjectionView, Stages } from './views.ts';

const LINE = /^cybermesh_(\w+?)_stage_(\w+)_total\{[^}]*\} (\d+(?:\.\d+)?(?:e\+?\d+)?)$/gm;

/** Of several validators the one that is furthest: each of them counts the same transactions. */
export const stagesIn = (text: string): Stages => {
  const furthest = new Map<string, number>();
  for (const [, actor, stage, value] of text.matchAll(LINE)) {
    const name = `${actor} ${stage}`;
    furthest.set(name, Math.max(furthest.get(name) ?? 0, Number(value)));
  }
  return Object.fromEntries(
    STAGES.map(([stage, actor]) => [stage, furthest.get(`${actor} ${stage}`) ?? 0]),
  ) as Stages;
};

const gaugeIn = (text: string, name: string): number | undefined => {
  const value = new RegExp(`^${name}\\{[^}]*\\} (\\S+)$`, 'm').exec(text)?.[1];
  return value === undefined ? undefined : Number(value);
};

/** null before the projector has opened its database, or where there is none. */
export const projectionIn = (text: string): ProjectionView | null => {
  const [height, lag, connected] = ['height', 'lag', 'connected'].map((name) =>
    gaugeIn(text, `cybermesh_persistence_${name}`),
  );
  if (height === undefined || lag === undefined) return null;
  return { height, lag, connected: connected === 1 };
};
