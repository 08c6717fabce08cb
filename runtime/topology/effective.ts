/** The configuration that is in force, as a topology file again or line by line with its origins. */
import { get, type Located, type Place, plain } from './document.ts';
import type { CheckedLine, Topology } from './load.ts';
import { ACTOR_SECTIONS } from './schema.ts';
import { redact } from './secrets.ts';

/** One setting in force. */
export type EffectiveSetting = {
  readonly path: string;
  readonly value: unknown;
  readonly origin: Place['origin'];
  /** `config/local.yaml:12`, `--set`, a variable's name, or `default`. */
  readonly source: string;
};

/** Text that begins with $ would be a reference when the file is read again. */
const escaped = (value: unknown): unknown => {
  if (typeof value === 'string') return value.startsWith('$') ? `$${value}` : value;
  if (Array.isArray(value)) return value.map(escaped);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, escaped(one)]));
};

const lineDocument = (checked: CheckedLine): object => {
  if (checked.kind === 'group') {
    return { ...checked.settings, children: checked.children.map(lineDocument) };
  }
  const { config: _, ...settings } = checked.settings;
  return { ...settings, config: escaped(redact(checked.config)) };
};

/** A topology document with templates expanded and defaults filled in; secrets are masked. */
export const effectiveDocument = (topology: Topology): object => ({
  ...(redact(topology.sections) as object),
  ...Object.fromEntries(
    ACTOR_SECTIONS.flatMap((name) => {
      const node = get(topology.document, name);
      return node === undefined ? [] : [[name, redact(plain(node))]];
    }),
  ),
  supervise: lineDocument(topology.root),
});

const placeOf = (node: Located | undefined): Pick<EffectiveSetting, 'origin' | 'source'> => {
  if (node === undefined) return { origin: 'default', source: 'default' };
  const { origin, source, line } = node.at;
  return { origin, source: line > 0 ? `${source}:${line}` : source };
};

const leaves = (path: string, value: unknown, node: Located | undefined): EffectiveSetting[] => {
  if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
    const entries = Object.entries(value);
    if (entries.length > 0) {
      return entries.flatMap(([key, one]) =>
        leaves(path === '' ? key : `${path}.${key}`, one, get(node, key)),
      );
    }
  }
  return [{ path, value: redact(value, path.split('.').at(-1)), ...placeOf(node) }];
};

const lineSettings = (checked: CheckedLine): EffectiveSetting[] => {
  const { line } = checked;
  if (checked.kind === 'group') {
    const { strategy, intensity } = checked.settings;
    const path = line.path === '' ? 'supervise' : line.path;
    const own = leaves(path, { strategy, intensity }, line.settings);
    return [...own, ...checked.children.flatMap(lineSettings)];
  }
  const { name: _, config: __, ...settings } = checked.settings;
  return [
    ...leaves(line.path, settings, line.settings),
    ...leaves(`${line.path}.config`, checked.config ?? {}, get(line.settings, 'config')),
  ];
};

/** Every setting in force with its tree path and where it came from; secrets are masked. */
export const effectiveSettings = (topology: Topology): EffectiveSetting[] => [
  ...Object.entries(topology.sections).flatMap(([name, section]) =>
    leaves(name, section, get(topology.document, name)),
  ),
  ...lineSettings(topology.root),
];
