/** A block of lines at the end of a terminal that is redrawn in place. */

export type Terminal = {
  write(text: string): unknown;
  /** 0 or absent where the terminal does not know. */
  readonly columns?: number;
  readonly rows?: number;
};

export type Screen = {
  /** Replaces what was drawn before. */
  readonly draw: (lines: readonly string[]) => void;
  /** Lines above the block, which stay. */
  readonly above: (text: string) => void;
  /** What was drawn stays. */
  readonly showCursor: () => void;
  readonly width: () => number;
};

const ESCAPE = '\u001b[';
const HIDE = `${ESCAPE}?25l`;
const SHOW = `${ESCAPE}?25h`;
const CLEAR_BELOW = `${ESCAPE}J`;

export const openScreen = (out: Terminal): Screen => {
  let drawn: readonly string[] = [];
  const back = (): string =>
    drawn.length === 0 ? '' : `\r${ESCAPE}${drawn.length}A${CLEAR_BELOW}`;
  const fitting = (lines: readonly string[]): readonly string[] =>
    lines.slice(0, Math.max(1, (out.rows || 24) - 1));
  const put = (before: string, lines: readonly string[]): void => {
    // One write a frame: the terminal never shows half of it.
    out.write(`${HIDE}${back()}${before}${lines.map((line) => `${line}\n`).join('')}`);
    drawn = lines;
  };
  return {
    draw: (lines) => put('', fitting(lines)),
    above: (text) => put(text.endsWith('\n') ? text : `${text}\n`, drawn),
    showCursor: () => void out.write(SHOW),
    width: () => Math.max(20, (out.columns || 80) - 1),
  };
};
