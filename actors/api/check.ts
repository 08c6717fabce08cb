/** What can be known of the API's settings before the start. */
import { actorsOf, type TopologyCheck, type TopologyView } from '#runtime/topology/view.ts';
import { type ApiConfig, config } from './config.ts';
import { isLoopback } from './loopback.ts';

/** Names of the branches that hold such an actor. */
const branchesWith = (topology: TopologyView, actor: string): readonly string[] =>
  actorsOf(topology, actor).flatMap((one) => one.branch.at(-1) ?? []);

/** A node without validators has nothing to name; one that has some is meant to name one of them. */
const unknownBranch = (name: string, known: readonly string[], what: string): string | undefined =>
  known.length === 0 || known.includes(name)
    ? undefined
    : `no branch ${name} with ${what}; there are ${known.join(', ')}`;

const problemsOf = (topology: TopologyView, path: string, settings: ApiConfig) => {
  const { host, from, validators, shows } = settings;
  const exposed = isLoopback(host)
    ? undefined
    : `the API has no authentication yet and listens on loopback only: use 127.0.0.1, ::1 or localhost, not ${host}`;
  const replicas = branchesWith(topology, 'replica');
  const found: readonly (readonly [string, string | undefined])[] = [
    ['host', exposed],
    ['from', unknownBranch(from, branchesWith(topology, 'executor'), 'an executor')],
    ...validators.map(
      (name, k) => [`validators.${k}`, unknownBranch(name, replicas, 'a replica')] as const,
    ),
  ];
  const known = shows.includes('chain') ? found : found.slice(0, 1);
  return known.flatMap(([setting, message]) =>
    message === undefined ? [] : [{ path: `${path}.config.${setting}`, message }],
  );
};

export const check: TopologyCheck = (topology) =>
  actorsOf(topology, 'api').flatMap((actor) =>
    problemsOf(topology, actor.path, config.parse(actor.config)),
  );
