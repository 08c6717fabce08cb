/** Where a thread that does not come back spends its time, from a profile that was taken of it from outside. Pure. */

/** What is read of a profile in the format of V8 (Chrome's .cpuprofile). Lines and columns count from 0. */
type Profile = {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: {
      readonly functionName: string;
      readonly url: string;
      readonly lineNumber: number;
      readonly columnNumber: number;
    };
    /** Samples in which it was on top. */
    readonly hitCount?: number;
    readonly children?: readonly number[];
  }[];
};
type Node = Profile['nodes'][number];

/** V8's own entries, as (root), (program), (garbage collector). */
const isCode = ({ callFrame }: Node): boolean =>
  callFrame.url !== '' && !callFrame.functionName.startsWith('(');

const frameOf = ({ callFrame }: Node): string => {
  const { functionName, url, lineNumber, columnNumber } = callFrame;
  const name = functionName === '' ? '<anonymous>' : functionName;
  return `${name} (${url}:${lineNumber + 1}:${columnNumber + 1})`;
};

/** The function that was seen most often, and who called it, innermost first; empty where no code of ours was seen. */
export const busiestStack = (profile: string): readonly string[] => {
  const { nodes } = JSON.parse(profile) as Profile;
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const callers = new Map(nodes.flatMap(({ id, children = [] }) => children.map((c) => [c, id])));
  const [busiest] = nodes
    .filter((node) => isCode(node) && (node.hitCount ?? 0) > 0)
    .sort((a, b) => (b.hitCount ?? 0) - (a.hitCount ?? 0));
  const stack: string[] = [];
  for (let at = busiest; at !== undefined; at = byId.get(callers.get(at.id) ?? -1)) {
    if (isCode(at)) stack.push(frameOf(at));
  }
  return stack;
};
