/** Which processes a cluster on one machine has, and what each is started with. Pure. */
import { err, ok, type Result } from '#proto/result.ts';

export const VALIDATORS = ['v1', 'v2', 'v3', 'v4'] as const;

export type ClusterSettings = {
  /** Absolute; each process has a folder of its name in it. */
  readonly folder: string;
  readonly brokers: readonly string[];
  readonly database: string;
  readonly genesis: { readonly file: string; readonly sha256: string };
  /** kind or kind:path, as `--source` takes it. */
  readonly source: string;
  readonly backend: string;
  /** The first validator listens here for the others, the next one above it. */
  readonly port: number;
  /** The API of the detector; the other processes follow it. */
  readonly apiPort: number;
  /** Settings of single processes, in order; they win over what a cluster gives. */
  readonly set: readonly MemberSetting[];
};

/** `line` is `path=value`, as `--set` of `start` takes it. */
export type MemberSetting = { readonly member: string; readonly line: string };

export type Member = {
  readonly name: string;
  /** `config/<topology>.yaml` */
  readonly topology: 'detector' | 'validator' | 'enforcer';
  readonly dataDir: string;
  readonly apiPort: number;
  /** What follows `start <topology file>`. */
  readonly args: readonly string[];
};

/** In the order in which they start; the detector is last, so that nobody misses its first word. */
export const memberNames: readonly string[] = [...VALIDATORS, 'enforcer', 'detector'];

/** `<name>.<path>=<value>`. The error is a sentence. */
export const memberSetting = (text: string): Result<MemberSetting, string> => {
  const [, member, line] = /^([^.=]+)\.([^=]+=.*)$/s.exec(text) ?? [];
  if (member === undefined || line === undefined) {
    return err(`--set takes <name>.<path>=<value>, e.g. v1.node.logLevel=debug, not ${text}`);
  }
  if (memberNames.includes(member)) return ok({ member, line });
  return err(`--set ${text}: there is no ${member}; there are ${memberNames.join(', ')}`);
};

const multiaddr = (port: number): string => `/ip4/127.0.0.1/tcp/${port}`;

const topologyOf = (name: string): Member['topology'] =>
  name === 'detector' || name === 'enforcer' ? name : 'validator';

const validatorSets = (settings: ClusterSettings, name: string, at: number): string[] => [
  `validator.with.name=${name}`,
  `validator.with.listen=${multiaddr(settings.port + at)}`,
  ...VALIDATORS.map((peer, k) => `validator.with.peers.${peer}=${multiaddr(settings.port + k)}`),
  `database.url=${settings.database}`,
];

const ownSets = (settings: ClusterSettings, name: string): string[] => {
  const at = (VALIDATORS as readonly string[]).indexOf(name);
  if (at >= 0) return validatorSets(settings, name, at);
  return name === 'enforcer' ? [`enforcer.config.backend=${settings.backend}`] : [];
};

/** Port of the API of a process: that of the detector is the first. */
const apiPortOf = ({ apiPort }: ClusterSettings, name: string): number =>
  apiPort + ['detector', ...VALIDATORS, 'enforcer'].indexOf(name);

export const planOf = (settings: ClusterSettings): readonly Member[] =>
  memberNames.map((name) => {
    const { folder, brokers, genesis, source } = settings;
    const dataDir = `${folder}/${name}`;
    const apiPort = apiPortOf(settings, name);
    const sets = [
      `node.name=${name}`,
      `node.dataDir=${dataDir}`,
      `bus.brokers=${JSON.stringify(brokers)}`,
      `genesis.file=${genesis.file}`,
      `genesis.sha256=${genesis.sha256}`,
      `api.port=${apiPort}`,
      ...ownSets(settings, name),
      ...settings.set.flatMap(({ member, line }) => (member === name ? [line] : [])),
    ];
    const args = sets.flatMap((one) => ['--set', one]);
    const from = name === 'detector' ? ['--source', source] : [];
    return { name, topology: topologyOf(name), dataDir, apiPort, args: [...args, ...from] };
  });
