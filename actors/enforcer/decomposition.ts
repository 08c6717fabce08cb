/**
 * Overlapping networks as pieces that do not overlap: what an interval set of the kernel takes. A host
 * inside a network, or two networks with different ends, would else be refused or swallowed whole. Pure.
 */

/** Addresses low..high times ports from..to, both ends included, until `expiresMs` (Unix ms). */
export type Box = {
  readonly low: bigint;
  readonly high: bigint;
  readonly from: number;
  readonly to: number;
  readonly expiresMs: number;
};

type Ports = Pick<Box, 'from' | 'to' | 'expiresMs'>;

/**
 * Disjoint boxes that cover exactly what `boxes` cover, each with the latest expiry of those that cover
 * it, sorted by address, then port. Neighbours with the same expiry are one. Because an expiry is only
 * ever the latest, a box that runs out leaves the other pieces as they are.
 */
export const disjoint = (boxes: readonly Box[]): Box[] => {
  const starts = [...boxes].sort((a, b) => order(a.low, b.low));
  const edges = edgesOf(boxes);
  const done: Box[] = [];
  let open: Box[] = [];
  let running: { readonly low: bigint; high: bigint; readonly ports: readonly Ports[] } | undefined;
  const close = (): void => {
    if (running === undefined) return;
    const { low, high } = running;
    for (const ports of running.ports) done.push({ low, high, ...ports });
    running = undefined;
  };
  let next = 0;
  for (let k = 0; k + 1 < edges.length; k++) {
    const low = edges[k]!;
    const high = edges[k + 1]! - 1n;
    open = open.filter((box) => box.high >= low);
    while (next < starts.length && starts[next]!.low <= low) open.push(starts[next++]!);
    if (open.length === 0) {
      close();
      continue;
    }
    const ports = disjointPorts(open);
    if (running !== undefined && running.high + 1n === low && samePorts(running.ports, ports)) {
      running.high = high;
    } else {
      close();
      running = { low, high, ports };
    }
  }
  close();
  return done;
};

const order = (a: bigint, b: bigint): number => {
  if (a === b) return 0;
  return a < b ? -1 : 1;
};

/** Where the set of covering boxes may change, ascending, each once. */
const edgesOf = (boxes: readonly Box[]): bigint[] => {
  const edges = new Set<bigint>();
  for (const { low, high } of boxes) {
    edges.add(low);
    edges.add(high + 1n);
  }
  return [...edges].sort(order);
};

const disjointPorts = (open: readonly Ports[]): Ports[] => {
  if (open.length === 1) {
    const { from, to, expiresMs } = open[0]!;
    return [{ from, to, expiresMs }];
  }
  const edges = [...new Set(open.flatMap(({ from, to }) => [from, to + 1]))].sort((a, b) => a - b);
  const pieces: { from: number; to: number; expiresMs: number }[] = [];
  for (let k = 0; k + 1 < edges.length; k++) {
    const from = edges[k]!;
    const to = edges[k + 1]! - 1;
    let expiresMs = -1;
    for (const one of open) {
      if (one.from <= from && one.to >= to && one.expiresMs > expiresMs) expiresMs = one.expiresMs;
    }
    if (expiresMs < 0) continue;
    const last = pieces.at(-1);
    if (last !== undefined && last.to + 1 === from && last.expiresMs === expiresMs) last.to = to;
    else pieces.push({ from, to, expiresMs });
  }
  return pieces;
};

const samePorts = (a: readonly Ports[], b: readonly Ports[]): boolean =>
  a.length === b.length &&
  a.every((one, k) => {
    const other = b[k]!;
    return one.from === other.from && one.to === other.to && one.expiresMs === other.expiresMs;
  });
