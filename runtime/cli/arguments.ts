/** Reads the arguments of a command: options as node:util parses them, positionals by name. */
import { parseArgs } from 'node:util';
import { err, ok, type Result } from '#proto/result.ts';
import { closest } from '#runtime/topology/nearest.ts';

export type OptionKinds = {
  readonly [name: string]: {
    readonly type: 'string' | 'boolean';
    readonly multiple?: boolean;
    readonly short?: string;
  };
};

type ValueOf<O> = O extends { readonly type: 'boolean' }
  ? boolean
  : O extends { readonly multiple: true }
    ? string[]
    : string;

export type Parsed<O extends OptionKinds> = {
  readonly options: { readonly [K in keyof O]?: ValueOf<O[K]> };
  readonly positionals: readonly string[];
};

/** `positionals` names what has to be there; more than these and `optional` further ones is an error, too. */
export const readArguments = <const O extends OptionKinds>(
  args: readonly string[],
  kinds: O,
  positionals: readonly string[],
  optional = 0,
): Result<Parsed<O>, string> => {
  try {
    const parsed = parseArgs({
      args: [...args],
      options: kinds,
      allowPositionals: true,
      strict: true,
    });
    const missing = positionals[parsed.positionals.length];
    if (missing !== undefined) return err(`${missing} is missing`);
    const extra = parsed.positionals[positionals.length + optional];
    if (extra !== undefined) return err(`unexpected argument ${extra}`);
    return ok({ options: parsed.values as Parsed<O>['options'], positionals: parsed.positionals });
  } catch (fault) {
    const { code, message } = fault as NodeJS.ErrnoException;
    if (!code?.startsWith('ERR_PARSE_ARGS')) throw fault;
    const option = /'(?:-\w, )?(--?[\w-]+)/.exec(message)?.[1];
    const near = option && closest(option.replace(/^-+/, ''), Object.keys(kinds));
    if (code === 'ERR_PARSE_ARGS_UNKNOWN_OPTION') {
      return err(`unknown option ${option}${near ? `; did you mean --${near}?` : ''}`);
    }
    return err(message.split('\n')[0]!.replace(/\.$/, ''));
  }
};

/** Takes `-o json`, `--output json` (or `text`) off the arguments of any command. */
export const takeOutput = (
  args: readonly string[],
): Result<{ readonly json: boolean; readonly rest: string[] }, string> => {
  const rest: string[] = [];
  let format = 'text';
  for (let k = 0; k < args.length; k++) {
    const word = args[k]!;
    if (word === '--') return ok({ json: format === 'json', rest: [...rest, ...args.slice(k)] });
    const inline = /^(?:--output=|-o=?)(.+)$/.exec(word)?.[1];
    if (word === '-o' || word === '--output') format = args[++k] ?? '';
    else if (inline !== undefined) format = inline;
    else rest.push(word);
  }
  if (format !== 'json' && format !== 'text') {
    return err(`-o takes json or text, not ${format === '' ? 'nothing' : format}`);
  }
  return ok({ json: format === 'json', rest });
};

const SECONDS: { readonly [unit: string]: number } = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** `30s`, `500ms`, `2m`, `1h` in milliseconds; at least 100 ms, at most a year. */
export const readDuration = (text: string): Result<number, string> => {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text.trim());
  if (match === null) return err(`expected a duration such as 30s, 500ms, 2m or 1h, not ${text}`);
  const ms = Math.round(Number(match[1]) * SECONDS[match[2]!]!);
  if (ms < 100 || ms > 31_536_000_000) return err(`a duration is 100ms to a year, not ${text}`);
  return ok(ms);
};
