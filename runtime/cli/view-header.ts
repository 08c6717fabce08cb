/** What the live view says of the node itself. */
import type { TreeNode } from '#runtime/actor.ts';
import type { ViewHeader } from '#runtime/live/status-view.ts';
import { actorNodes } from '#runtime/metrics/snapshot.ts';
import { actorsOf, type TopologyView } from '#runtime/topology/view.ts';

type Source = { readonly kind?: string; readonly path?: string };

/** The input in a few words; what is made up is called so. */
const sourceWords = (view: TopologyView): string => {
  const telemetry = actorsOf(view, 'telemetry')[0]?.config as { readonly source?: Source };
  const { kind, path } = telemetry?.source ?? {};
  if (kind === undefined) return '';
  if (kind === 'synthetic') return 'synthetic traffic (made up, attacks included)';
  return path === undefined ? kind : `${kind} ${path}`;
};

/** The API says where it listens (its fact `url`); until then, where it is configured to. */
const apiAddress = (view: TopologyView, tree: TreeNode | undefined): string => {
  const api = actorsOf(view, 'api')[0];
  if (api === undefined) return '';
  const nodes = tree === undefined ? [] : actorNodes(tree);
  const said = nodes.find((node) => node.path === api.path)?.facts?.url;
  if (said !== undefined) return said;
  const { host, port } = api.config as { readonly host?: string; readonly port?: number };
  return typeof port === 'number' && port > 0 ? `http://${host ?? '127.0.0.1'}:${port}/api/v1` : '';
};

export const viewHeader = (
  view: TopologyView,
  file: string,
  startedAtMs: number,
  tree: TreeNode | undefined,
): ViewHeader => ({
  node: view.node.name,
  topology: file,
  startedAtMs,
  source: sourceWords(view),
  api: apiAddress(view, tree),
});
