/**
 * Prometheus text format 0.0.4 of a snapshot. Names: `cybermesh_<actor>_<name>`, counters end in `_total`; the label
 * `actor` is the path in the tree.
 */
import { boundsOf } from './bounds.ts';
import type { Distribution } from './metrics.ts';
import type { ActorNumbers, MetricsSnapshot } from './numbers.ts';

const legal = (name: string): string => name.replace(/[^A-Za-z0-9_]/g, '_');
const quoted = (value: string): string =>
  `"${value.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')}"`;
const labels = (pairs: { readonly [name: string]: string }): string =>
  `{${Object.entries(pairs)
    .map(([name, value]) => `${name}=${quoted(value)}`)
    .join(',')}}`;

/** Lines of one metric stand together, as the format demands. */
type Families = Map<string, { readonly type: string; readonly lines: string[] }>;

const put = (families: Families, name: string, type: string, ...lines: string[]): void => {
  const family = families.get(name);
  if (family === undefined) families.set(name, { type, lines });
  else family.lines.push(...lines);
};

const histogram = (name: string, path: string, d: Distribution): string[] => [
  ...boundsOf(name).map(
    (le) => `${name}_bucket${labels({ actor: path, le: String(le) })} ${d.atMost(le)}`,
  ),
  `${name}_bucket${labels({ actor: path, le: '+Inf' })} ${d.count}`,
  `${name}_sum${labels({ actor: path })} ${d.sum}`,
  `${name}_count${labels({ actor: path })} ${d.count}`,
];

const ofActor = (families: Families, a: ActorNumbers): void => {
  const own = labels({ actor: a.path });
  const runtime = (name: string, type: string, value: number): void =>
    put(families, name, type, `${name}${own} ${value}`);
  runtime('cybermesh_actor_messages_total', 'counter', a.messages);
  runtime('cybermesh_actor_restarts_total', 'counter', a.restarts);
  runtime('cybermesh_actor_up', 'gauge', a.state === 'running' ? 1 : 0);
  runtime('cybermesh_actor_suspended', 'gauge', a.suspended ? 1 : 0);
  runtime('cybermesh_actor_mailbox_depth', 'gauge', a.depth);
  runtime('cybermesh_actor_mailbox_depth_max', 'gauge', a.depthMax);
  if (a.handling !== undefined) {
    const name = 'cybermesh_actor_handling_seconds';
    put(families, name, 'histogram', ...histogram(name, a.path, a.handling));
  }
  const prefix = `cybermesh_${legal(a.actor)}_`;
  for (const [given, value] of Object.entries(a.counters)) {
    const name = `${prefix}${legal(given)}_total`;
    put(families, name, 'counter', `${name}${own} ${value}`);
  }
  for (const [given, value] of Object.entries(a.gauges)) {
    const name = prefix + legal(given);
    put(families, name, 'gauge', `${name}${own} ${value}`);
  }
  for (const [given, d] of Object.entries(a.distributions)) {
    const name = prefix + legal(given);
    put(families, name, 'histogram', ...histogram(name, a.path, d));
  }
};

export const prometheusText = (snapshot: MetricsSnapshot): string => {
  const families: Families = new Map();
  for (const actor of snapshot.actors) ofActor(families, actor);
  for (const t of snapshot.threads) {
    const own = labels({ thread: String(t.thread) });
    const gauge = (name: string, value: number): void =>
      put(families, name, 'gauge', `${name}${own} ${value}`);
    gauge('cybermesh_thread_lag_seconds', t.lagMs / 1000);
    gauge('cybermesh_thread_heap_bytes', t.heapBytes);
    gauge('cybermesh_thread_array_buffers_bytes', t.arrayBufferBytes);
    gauge('cybermesh_thread_open_asks', t.openAsks);
  }
  const level = (name: string, value: number): void =>
    put(families, name, 'gauge', `${name} ${value}`);
  level('cybermesh_spare_threads_ready', snapshot.sparesReady);
  level('cybermesh_slabs_free', snapshot.slabsFree);
  for (const { name, kind, labels: own, value } of snapshot.runtime) {
    const full = `cybermesh_${name}${kind === 'counter' ? '_total' : ''}`;
    const shown = Object.keys(own).length === 0 ? '' : labels(own);
    put(families, full, kind, `${full}${shown} ${value}`);
  }
  for (const [reason, n] of Object.entries(snapshot.deadLetters.byReason)) {
    const name = 'cybermesh_dead_letters_total';
    put(families, name, 'counter', `${name}${labels({ reason })} ${n}`);
  }
  return [...families]
    .map(([name, { type, lines }]) => `# TYPE ${name} ${type}\n${lines.join('\n')}\n`)
    .join('');
};
