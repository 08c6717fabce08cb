/** Reads the counters of the pipeline's stages out of Prometheus text. */
import { STAGES } from '#runtime/snapshot.ts';
import type { Stages } from './views.ts';

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
