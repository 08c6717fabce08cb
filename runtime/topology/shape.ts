/** The keys, types and descriptions of a zod schema at any path, for messages and for names in variables. */
import { z } from 'zod';

/** The part of JSON Schema that zod writes. */
export type Shape = {
  readonly $ref?: string;
  readonly $defs?: { readonly [name: string]: Shape };
  readonly type?: string | readonly string[];
  readonly properties?: { readonly [key: string]: Shape };
  readonly additionalProperties?: Shape | boolean;
  readonly items?: Shape | boolean;
  readonly prefixItems?: readonly Shape[];
  readonly anyOf?: readonly Shape[];
  readonly oneOf?: readonly Shape[];
  readonly allOf?: readonly Shape[];
  readonly description?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
};

/** What a user may write (`io: 'input'`: fields with defaults are optional). */
export const shapeOf = (schema: z.ZodType): Shape => {
  const made = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    target: 'draft-2020-12',
  }) as Shape & { $schema?: string };
  const { $schema: _, ...shape } = made;
  return shape;
};

const flatten = (root: Shape, shape: Shape, depth = 0): Shape[] => {
  if (depth > 16) return [];
  const name = shape.$ref?.split('/').at(-1);
  const target = shape.$ref === '#' ? root : name === undefined ? undefined : root.$defs?.[name];
  const parts = [...(shape.anyOf ?? []), ...(shape.oneOf ?? []), ...(shape.allOf ?? [])];
  const nested = target === undefined ? parts : [target, ...parts];
  return [shape, ...nested.flatMap((part) => flatten(root, part, depth + 1))];
};

/** Every alternative that may stand at `path`. */
export const shapesAt = (root: Shape, path: readonly PropertyKey[]): readonly Shape[] => {
  let here = flatten(root, root);
  for (const step of path) {
    here = here.flatMap((shape) => {
      const extra = shape.additionalProperties;
      const item = shape.items;
      const next =
        typeof step === 'number'
          ? (shape.prefixItems?.[step] ?? (typeof item === 'object' ? item : undefined))
          : (shape.properties?.[String(step)] ?? (typeof extra === 'object' ? extra : undefined));
      return next === undefined ? [] : flatten(root, next);
    });
  }
  return here;
};

/** The names of the settings at `path`, without repeats. */
export const keysAt = (root: Shape, path: readonly PropertyKey[]): readonly string[] => [
  ...new Set(shapesAt(root, path).flatMap((shape) => Object.keys(shape.properties ?? {}))),
];

/** True when any key may stand at `path` (a map with free keys, or anything at all). */
export const isOpenAt = (root: Shape, path: readonly PropertyKey[]): boolean =>
  shapesAt(root, path).some(
    (shape) =>
      (shape.additionalProperties !== undefined && shape.additionalProperties !== false) ||
      (Object.keys(shape).length === 0 && shape.type === undefined),
  );

/** True when nothing but text may stand at `path`, so that `007` given on a command line stays text. */
export const isTextAt = (root: Shape, path: readonly PropertyKey[]): boolean => {
  const types = shapesAt(root, path).flatMap((shape) =>
    shape.type !== undefined ? [shape.type].flat() : (shape.enum ?? []).map((one) => typeof one),
  );
  return types.length > 0 && types.every((type) => type === 'string');
};

export const descriptionAt = (root: Shape, path: readonly PropertyKey[]): string | undefined =>
  shapesAt(root, path).find((shape) => shape.description !== undefined)?.description;

/** The constants that may stand at `path` (one-of, or the discriminators of a union). */
export const constantsAt = (root: Shape, path: readonly PropertyKey[]): readonly string[] => [
  ...new Set(
    shapesAt(root, path).flatMap((shape) => [
      ...(shape.enum ?? []).map(String),
      ...(shape.const === undefined ? [] : [String(shape.const)]),
    ]),
  ),
];
