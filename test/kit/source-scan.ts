/** Reads TypeScript just well enough for the rules of the house: imports, functions, words outside of strings. */
import { stripTypeScriptTypes } from 'node:module';

export type Import = {
  readonly specifier: string;
  readonly typeOnly: boolean;
  readonly line: number;
};
export type FunctionSpan = { readonly name: string; readonly line: number; readonly lines: number };

/** What may stand before a regular expression but not before a division. */
const BEFORE_REGEX =
  /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\b(?:return|typeof|case|in|of|do|else|void))\s*$/;

const endOfLine = (text: string, at: number): number => {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.length : end;
};

const endOfQuoted = (text: string, at: number): number => {
  const quote = text[at];
  for (let k = at + 1; k < text.length; k++) {
    if (text[k] === '\\') k++;
    else if (text[k] === quote || text[k] === '\n') return k + 1;
  }
  return text.length;
};

const endOfRegex = (text: string, at: number): number => {
  let inClass = false;
  for (let k = at + 1; k < text.length; k++) {
    const letter = text[k];
    if (letter === '\\') k++;
    else if (letter === '[') inClass = true;
    else if (letter === ']') inClass = false;
    else if (letter === '/' && !inClass) return k + 1;
    else if (letter === '\n') return k;
  }
  return text.length;
};

const blank = (text: string): string => text.replaceAll(/[^\n]/g, ' ');

/**
 * The code alone: comments, strings and regular expressions become spaces; every line and column stays where
 * it was. What stands in `${}` of a template is code.
 */
export const codeOnly = (text: string): string => {
  let out = '';
  let at = 0;
  /** For each template that we are inside of: braces opened within its current `${`. */
  const templates: number[] = [];
  const skip = (end: number): void => {
    out += blank(text.slice(at, end));
    at = end;
  };
  const template = (): void => {
    let k = at + 1;
    while (k < text.length && text[k] !== '`' && !(text[k] === '$' && text[k + 1] === '{')) {
      k += text[k] === '\\' ? 2 : 1;
    }
    if (text[k] === '$') {
      skip(k);
      out += ' {';
      at = k + 2;
      templates.push(0);
    } else skip(k + 1);
  };
  while (at < text.length) {
    const letter = text[at]!;
    const two = text.slice(at, at + 2);
    if (two === '//') skip(endOfLine(text, at));
    else if (two === '/*') {
      const end = text.indexOf('*/', at + 2);
      skip(end < 0 ? text.length : end + 2);
    } else if (letter === '"' || letter === "'") skip(endOfQuoted(text, at));
    else if (letter === '`') template();
    else if (letter === '/' && BEFORE_REGEX.test(out.slice(-40))) skip(endOfRegex(text, at));
    else if (letter === '}' && templates.at(-1) === 0) {
      templates.pop();
      out += '}';
      template();
    } else {
      if (templates.length > 0 && letter === '{') templates[templates.length - 1]! += 1;
      if (templates.length > 0 && letter === '}') templates[templates.length - 1]! -= 1;
      out += letter;
      at++;
    }
  }
  return out;
};

const lineOf = (text: string, at: number): number => text.slice(0, at).split('\n').length;

/** Every static import, re-export and literal dynamic import. */
export const importsOf = (text: string): Import[] => {
  const code = codeOnly(text);
  const found: Import[] = [];
  const statement = /\b(import|export)\b([^;'"]*?)(?:\bfrom\b\s*)?(['"])([^'"\n]+)\3/g;
  for (const match of text.matchAll(statement)) {
    // Only where the word stands in code, and no statement ends between it and the text.
    if (code.slice(match.index, match.index + match[1]!.length) !== match[1]) continue;
    const middle = match[2]!;
    const isImport =
      /^\s*(?:type\s+)?(?:[\w*{}\s,$]|\bas\b)*$/.test(middle) || /^\s*\($/.test(middle);
    if (!isImport || (match[1] === 'export' && !/\bfrom\s*['"]/.test(match[0]))) continue;
    found.push({
      specifier: match[4]!,
      typeOnly: /^\s*type\s/.test(middle),
      line: lineOf(text, match.index),
    });
  }
  return found;
};

const CLOSING: { readonly [open: string]: string } = { '(': ')', '[': ']', '{': '}' };

const matchingEnd = (code: string, open: number): number => {
  let depth = 0;
  for (let k = open; k < code.length; k++) {
    if (code[k]! in CLOSING) depth++;
    else if (')]}'.includes(code[k]!) && --depth === 0) return k;
  }
  return code.length;
};

const matchingStart = (code: string, close: number): number => {
  let depth = 0;
  for (let k = close; k >= 0; k--) {
    if (')]}'.includes(code[k]!)) depth++;
    else if (code[k]! in CLOSING && --depth === 0) return k;
  }
  return 0;
};

const endOfExpression = (code: string, at: number): number => {
  for (let k = at; k < code.length; k++) {
    if (code[k]! in CLOSING) k = matchingEnd(code, k);
    else if (')]},;'.includes(code[k]!)) return k;
  }
  return code.length;
};

const CONTROL = /\b(?:if|for|while|switch|catch|with|await)\s*$/;

const arrowAt = (code: string, arrow: number): { start: number; end: number } => {
  const before = code.slice(0, arrow).trimEnd();
  const start = before.endsWith(')') ? matchingStart(code, before.length - 1) : before.length - 1;
  const body = arrow + 2 + (code.slice(arrow + 2).match(/^\s*/)?.[0].length ?? 0);
  const end = code[body] === '{' ? matchingEnd(code, body) : endOfExpression(code, body);
  return { start, end };
};

const nameBefore = (code: string, start: number): string =>
  /([\w$]+)\s*(?:=|:)?\s*(?:async\s*)?$/.exec(code.slice(Math.max(0, start - 120), start))?.[1] ??
  '(anonymous)';

/** Every function of a TypeScript file with the lines that it spans. */
export const functionsOf = (text: string): FunctionSpan[] => {
  const code = codeOnly(stripTypeScriptTypes(text));
  const found: FunctionSpan[] = [];
  const add = (start: number, end: number): void => {
    const line = lineOf(code, start);
    found.push({ name: nameBefore(code, start), line, lines: lineOf(code, end) - line + 1 });
  };
  for (const match of code.matchAll(/=>|\)\s*\{/g)) {
    if (match[0] === '=>') {
      const { start, end } = arrowAt(code, match.index);
      add(start, end);
      continue;
    }
    const start = matchingStart(code, match.index);
    if (CONTROL.test(code.slice(Math.max(0, start - 12), start))) continue;
    add(start, matchingEnd(code, match.index + match[0].length - 1));
  }
  return found;
};
