/** The JSON Schema of topology files, for editors: the sections, the lines, and each actor's settings. */
import { actorNames, loadActor } from './actors.ts';
import { actorLine, groupLine, SECTIONS, superviseSection, template, useLine } from './schema.ts';
import { type Shape, shapeOf } from './shape.ts';

type Json = { [key: string]: unknown };

const REFERENCE: Json = {
  type: 'string',
  pattern: '^\\$[A-Za-z]',
  description: 'a value that the line gives with `with`, $self, or a section such as $bus',
};

/** Any value may be a reference: `$name` in a template stands for whatever the line gives. */
const withReferences = (shape: unknown, depth = 0): unknown => {
  if (Array.isArray(shape)) return shape.map((one) => withReferences(one, depth + 1));
  if (shape === null || typeof shape !== 'object') return shape;
  const copy: Json = {};
  for (const [key, value] of Object.entries(shape as Json)) {
    if (key === 'properties' || key === '$defs') {
      copy[key] = Object.fromEntries(
        Object.entries(value as Json).map(([name, one]) => [name, orReference(one, depth)]),
      );
    } else if (key === 'items' || key === 'additionalProperties') {
      copy[key] = typeof value === 'object' ? orReference(value, depth) : value;
    } else if (key !== 'default') {
      copy[key] = withReferences(value, depth + 1);
    } else copy[key] = value;
  }
  return copy;
};

const orReference = (shape: unknown, depth: number): unknown => {
  const inner = withReferences(shape, depth + 1);
  const { type, description } = inner as Shape;
  const isPlainText =
    type === 'string' && !('pattern' in (inner as Json)) && !('enum' in (inner as Json));
  if (isPlainText || Object.keys(inner as Json).length === 0) return inner;
  return { ...(description === undefined ? {} : { description }), anyOf: [inner, REFERENCE] };
};

const children = (shape: Shape): Json => ({
  ...(shape as Json),
  properties: {
    ...shape.properties,
    children: { type: 'array', minItems: 1, items: { $ref: '#/$defs/line' } },
  },
});

/** Moves what an actor's schema defines apart to the document's own definitions. */
const hoisted = (name: string, shape: Shape, defs: Json): unknown => {
  const rename = JSON.stringify(shape).replaceAll('"#/$defs/', `"#/$defs/${name}.`);
  const { $defs, ...rest } = JSON.parse(rename) as Shape;
  for (const [key, value] of Object.entries($defs ?? {})) {
    defs[`${name}.${key}`] = withReferences(value);
  }
  return withReferences(rest);
};

/** Made from the actors under `root`; an actor that cannot be loaded is an error. */
export const topologySchema = async (root: URL): Promise<Json> => {
  const defs: Json = {};
  const rules: Json[] = [];
  const names = actorNames(root);
  const sections: Json = {};
  for (const name of names) {
    const actor = await loadActor(root, name);
    if (!actor.ok) throw new Error(actor.error);
    defs[`config.${name}`] = hoisted(name, actor.value.shape, defs);
    const config = { anyOf: [{ $ref: `#/$defs/config.${name}` }, REFERENCE] };
    rules.push({
      if: { properties: { actor: { const: name } }, required: ['actor'] },
      // biome-ignore lint/suspicious/noThenProperty: the word of JSON Schema
      then: { properties: { config } },
    });
    if (name === 'bus' || name === 'api') sections[name] = { $ref: `#/$defs/config.${name}` };
  }
  const line = shapeOf(actorLine) as Json & { readonly properties: Json };
  const actorSchema = {
    ...line,
    properties: { ...line.properties, actor: { enum: names }, config: {} },
    allOf: rules,
  };
  const own = Object.entries(SECTIONS).map(([name, schema]) => [name, shapeOf(schema)] as const);
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'CyberMesh topology',
    type: 'object',
    additionalProperties: false,
    required: ['supervise'],
    properties: {
      ...Object.fromEntries(own),
      ...sections,
      templates: { type: 'object', additionalProperties: children(shapeOf(template)) },
      supervise: children(shapeOf(superviseSection)),
    },
    $defs: {
      line: { anyOf: [actorSchema, children(shapeOf(groupLine)), shapeOf(useLine)] },
      ...defs,
    },
  };
};
