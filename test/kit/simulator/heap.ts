/** What happens next: by time, and in the order of scheduling where times are equal. */
export type Scheduled = { readonly atMs: number; readonly order: number; readonly run: () => void };

export type Heap = { push(atMs: number, run: () => void): void; pop(): Scheduled | undefined };

const before = (a: Scheduled, b: Scheduled): boolean =>
  a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);

export const heap = (): Heap => {
  const items: Scheduled[] = [];
  let order = 0;
  const swap = (i: number, j: number): void => {
    [items[i], items[j]] = [items[j] as Scheduled, items[i] as Scheduled];
  };
  const push = (atMs: number, run: () => void): void => {
    order += 1;
    items.push({ atMs, order, run });
    let at = items.length - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(items[at] as Scheduled, items[parent] as Scheduled)) break;
      swap(at, parent);
      at = parent;
    }
  };
  const sink = (): void => {
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        const item = items[child];
        if (item !== undefined && before(item, items[least] as Scheduled)) least = child;
      }
      if (least === at) return;
      swap(at, least);
      at = least;
    }
  };
  const pop = (): Scheduled | undefined => {
    const first = items[0];
    const last = items.pop();
    if (first === undefined || last === undefined || items.length === 0) return first;
    items[0] = last;
    sink();
    return first;
  };
  return { push, pop };
};
