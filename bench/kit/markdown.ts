/** A table in Markdown. */
export const markdown = (
  head: readonly string[],
  rows: readonly (readonly (string | number)[])[],
): string => {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
};
