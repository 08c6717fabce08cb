import { evidenceHeading } from '../evidence-blob.ts';
import { canonicalJson, type JsonObject } from '../json.ts';
import { unreachable } from '../result.ts';
import type { AiSubject } from './ai-message.ts';
import type { Problem } from './structure.ts';
import { CONFIDENCE_TOLERANCE } from './topics.ts';

/** The first field outside the signed bytes that differs from the hashed content: somebody on the
 * path could have written it. */
export const envelopeProblem = (subject: AiSubject, content: JsonObject): Problem => {
  switch (subject.kind) {
    case 'anomaly': {
      const { type, source, severity, confidence, modelVersion } = subject.message;
      const expected = { type, source, severity, model_version: modelVersion };
      return difference(expected, content) ?? confidenceProblem(confidence, content.confidence);
    }
    case 'evidence':
      return difference(evidenceHeading(subject.message), content);
    case 'policy': {
      const { action, rule } = subject.message;
      return difference({ action, rule_type: rule }, content);
    }
    default:
      return unreachable(subject);
  }
};

const difference = (expected: JsonObject, content: JsonObject): Problem => {
  for (const [field, value] of Object.entries(expected)) {
    const inside = Object.hasOwn(content, field) ? content[field] : undefined;
    if (inside === undefined) return `the content has no ${field}`;
    if (canonicalJson(inside) !== canonicalJson(value)) return `${field} differs from the content`;
  }
  return undefined;
};

const confidenceProblem = (outside: number, inside: unknown): Problem => {
  if (typeof inside !== 'number') return 'the content has no confidence';
  const near = Math.abs(inside - outside) <= CONFIDENCE_TOLERANCE;
  return near ? undefined : 'confidence differs from the content';
};
