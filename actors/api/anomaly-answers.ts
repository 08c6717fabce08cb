/** Anomalies and their lives, as the feedback actor keeps them. */
import type { JsonObject } from '#proto/json.ts';
import {
  type Answers,
  type Context,
  give,
  jsonOf,
  type Outcome,
  refuse,
  silent,
  want,
} from './answers.ts';
import type { RequestOf } from './request.ts';

/** The next page begins below the oldest of this one. */
const nextPage = (request: RequestOf<'anomalies'>, oldest: JsonObject): string => {
  const { state, severityMin, limit } = request;
  const words = [
    ...(state === '' ? [] : [`state=${state}`]),
    ...(severityMin === 0 ? [] : [`severity=${severityMin}`]),
    `limit=${limit}`,
    `before=${Number(oldest.detectedAtMs)}`,
  ];
  return `/api/v1/anomalies?${words.join('&')}`;
};

export const composeAnomalies = (
  request: RequestOf<'anomalies'>,
  { anomalies: list }: Answers,
  c: Context,
): Outcome => {
  const { kind: _, ...filter } = request;
  if (list === undefined) return want({ part: 'anomalies', ...filter });
  if (!list.ok) return silent('feedback', list.error, c);
  const anomalies = jsonOf<JsonObject[]>(list.value.anomalies);
  const oldest = anomalies.at(-1);
  const isFull = anomalies.length >= request.limit && oldest !== undefined;
  return give({
    anomalies,
    total: list.value.total,
    next: isFull ? nextPage(request, oldest) : null,
  });
};

export const composeAnomaly = (id: string, { anomaly }: Answers, c: Context): Outcome => {
  if (anomaly === undefined) return want({ part: 'anomaly', id });
  if (!anomaly.ok) return silent('feedback', anomaly.error, c);
  if (!anomaly.value.found) {
    return refuse('not-found', `no anomaly has the id ${id}; see /api/v1/anomalies`);
  }
  return give(jsonOf<JsonObject>(anomaly.value.anomaly));
};
