/** `cluster`: a detector, four validators and an enforcer as processes of one machine; `cluster restart`. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { err, ok, type Result } from '#proto/result.ts';
import { readArguments } from '#runtime/cli/arguments.ts';
import { type CliIo, type Command, EXIT, refuse } from '#runtime/cli/command.ts';
import { takeLock } from '#runtime/cli/lock.ts';
import { onStopSignals } from '#runtime/cli/stop-signals.ts';
import { prepareChain } from './chain.ts';
import { type Member, type MemberSetting, memberNames, memberSetting, planOf } from './plan.ts';
import { startProcesses } from './processes.ts';
import { awaitReady, restartOne } from './readiness.ts';
import { type Service, startBroker, startDatabase } from './services.ts';

const OPTIONS = {
  data: { type: 'string' },
  bus: { type: 'string' },
  brokers: { type: 'string' },
  database: { type: 'string' },
  source: { type: 'string' },
  backend: { type: 'string' },
  port: { type: 'string' },
  'api-port': { type: 'string' },
  set: { type: 'string', multiple: true },
} as const;

const DATA = './data/cluster';
const NAME_WIDTH = Math.max(...memberNames.map((name) => name.length));
const failure = (io: CliIo, text: string): number => {
  io.err(`error: ${text}`);
  return EXIT.failure;
};
const membersFile = (folder: string): string => path.join(folder, 'cluster.json');

type Wanted = {
  readonly folder: string;
  readonly brokers: readonly string[] | undefined;
  readonly database: string | undefined;
  readonly source: string;
  readonly backend: string;
  readonly port: number;
  readonly apiPort: number;
  readonly set: readonly MemberSetting[];
};

const portOf = (text: string | undefined, otherwise: number, name: string) => {
  const port = Number(text ?? otherwise);
  // Six processes follow each other from it.
  const isOne = Number.isInteger(port) && port > 0 && port < 65_530;
  return isOne ? ok(port) : err(`--${name} takes a port, 1..65529, not ${text}`);
};

const read = (args: readonly string[]): Result<Wanted, string> => {
  const parsed = readArguments(args, OPTIONS, []);
  if (!parsed.ok) return parsed;
  const { data, bus, brokers, database, source, backend, set, ...ports } = parsed.value.options;
  if (bus === 'embedded') {
    return err('the embedded bus serves one process only: a cluster needs Kafka (--brokers)');
  }
  if (bus !== undefined && bus !== 'kafka') return err(`--bus takes kafka, not ${bus}`);
  if (database !== undefined && !/^postgres(ql)?:\/\//.test(database)) {
    return err(
      '--database takes postgres://user@host/database: an embedded one serves one process',
    );
  }
  const port = portOf(ports.port, 7001, 'port');
  if (!port.ok) return port;
  const apiPort = portOf(ports['api-port'], 9441, 'api-port');
  if (!apiPort.ok) return apiPort;
  const settings: MemberSetting[] = [];
  for (const text of set ?? []) {
    const setting = memberSetting(text);
    if (!setting.ok) return setting;
    settings.push(setting.value);
  }
  return ok({
    folder: path.resolve(data ?? DATA),
    brokers: brokers?.split(',').map((one) => one.trim()),
    database,
    source: source ?? 'synthetic',
    backend: backend ?? 'noop',
    port: port.value,
    apiPort: apiPort.value,
    set: settings,
  });
};

const say =
  (io: CliIo) =>
  (name: string, text: string): void =>
    io.out(`${name.padEnd(NAME_WIDTH)} | ${text}`);

type Services = { readonly members: readonly Member[]; readonly stop: () => Promise<void> };

/** Broker, database, keys and genesis, and from them what each process is started with. */
const prepare = async (wanted: Wanted, io: CliIo): Promise<Result<Services, string>> => {
  const { folder, ...rest } = wanted;
  const genesis = prepareChain(folder);
  if (!genesis.ok) return genesis;
  const started: Service<string>[] = [];
  const stop = async (): Promise<void> => {
    for (const one of started.reverse()) await one.stop();
  };
  const given = async (
    value: string | undefined,
    start: () => Promise<Result<Service<string>, string>>,
  ): Promise<Result<string, string>> => {
    if (value !== undefined) return ok(value);
    const service = await start();
    if (!service.ok) return service;
    started.push(service.value);
    return ok(service.value.value);
  };
  const tell = say(io);
  const brokers = await given(wanted.brokers?.join(), () =>
    startBroker((text) => tell('kafka', text)),
  );
  if (!brokers.ok) return brokers;
  const database = await given(wanted.database, () => startDatabase(path.join(folder, 'postgres')));
  if (!database.ok) {
    await stop();
    return database;
  }
  const settings = { ...rest, brokers: brokers.value.split(','), database: database.value };
  return ok({ members: planOf({ ...settings, folder, genesis: genesis.value }), stop });
};

/** Runs the processes until a signal, or until one of them cannot be started. */
const runMembers = async (members: readonly Member[], io: CliIo): Promise<number> => {
  const tell = say(io);
  const ready = new Set<string>();
  const processes = startProcesses(members, tell, (name) => ready.has(name));
  let isOver = false;
  const stopWish = new Promise<string>((resolve) => {
    const deafen = onStopSignals({
      drain: (signal) => resolve(signal),
      force: () => {
        deafen();
        processes.kill();
        process.exit(EXIT.failure);
      },
    });
  });
  const told = (name: string): void => {
    ready.add(name);
    const { apiPort } = members.find((one) => one.name === name)!;
    tell(name, `ready: http://127.0.0.1:${apiPort}/api/v1`);
  };
  void awaitReady(members, told, () => isOver).then((late) => {
    if (isOver) return;
    const text = late.length === 0 ? 'all six are ready' : `not ready yet: ${late.join(', ')}`;
    tell('cluster', text);
  });
  const failed = processes.failed.then((reason) => ({ reason }));
  const end = await Promise.race([stopWish, failed]);
  isOver = true;
  tell('cluster', typeof end === 'string' ? `stopping: ${end}` : `stopping: ${end.reason}`);
  await processes.stop();
  tell('cluster', 'stopped');
  return typeof end === 'string' ? EXIT.ok : failure(io, end.reason);
};

const run = async (wanted: Wanted, io: CliIo): Promise<number> => {
  const lock = takeLock(wanted.folder, Date.now());
  if (!lock.ok) return failure(io, lock.error);
  try {
    const prepared = await prepare(wanted, io);
    if (!prepared.ok) return failure(io, prepared.error);
    const { members, stop } = prepared.value;
    const places = members.map(({ args: _, ...place }) => place);
    writeFileSync(membersFile(wanted.folder), `${JSON.stringify(places, null, 2)}\n`);
    try {
      return await runMembers(members, io);
    } finally {
      await stop();
    }
  } finally {
    lock.value.release();
  }
};

type Place = Omit<Member, 'args'>;

const restart = async (args: readonly string[], io: CliIo): Promise<number> => {
  const parsed = readArguments(args, { data: OPTIONS.data }, [], memberNames.length);
  if (!parsed.ok) return refuse(io, command, parsed.error);
  const { options, positionals } = parsed.value;
  const file = membersFile(path.resolve(options.data ?? DATA));
  let places: readonly Place[];
  try {
    places = JSON.parse(readFileSync(file, 'utf8')) as readonly Place[];
  } catch {
    return failure(io, `${file} cannot be read: no cluster has been started in that folder`);
  }
  const stranger = positionals.find((name) => places.every((one) => one.name !== name));
  if (stranger !== undefined) {
    const known = places.map((one) => one.name).join(', ');
    return refuse(io, command, `there is no ${stranger}; there are ${known}`);
  }
  const wanted = places.filter(
    ({ name }) => positionals.length === 0 || positionals.includes(name),
  );
  for (const place of wanted) {
    const back = await restartOne(place);
    if (!back.ok) return failure(io, back.error);
    io.out(`${place.name.padEnd(NAME_WIDTH)} | back after ${(back.value / 1000).toFixed(1)} s`);
  }
  return EXIT.ok;
};

export const command: Command = {
  summary: 'run a detector, four validators and an enforcer as six processes of this machine',
  usage: `cluster [options]
cluster restart [<name> ...] [--data folder]

Starts config/detector.yaml, four times config/validator.yaml and config/enforcer.yaml, on a Kafka broker
and a PostgreSQL database. Keys and genesis are made at the first start. A process that ends is started
again. Ctrl-C stops all of them, the detector first; a second Ctrl-C kills them.
restart is a rolling one: each process in turn drains, ends, and is back before the next one goes.

  --data folder       keys, genesis and the data of each process; default ${DATA}
  --brokers h:p,...   Kafka; without it the broker of "npm run kafka", where that is there
  --database url      PostgreSQL; without it a server of its own under the data folder
  --source kind:path  what the detector reads: pcap:<file>, flows:<file>, synthetic (default) or none
  --backend name      what the enforcer tells to enforce; default noop, which touches nothing
  --port n            libp2p port of the first validator, default 7001; the others follow
  --api-port n        port of the detector's API, default 9441; the others follow
  --set name.path=v   a setting of one process, e.g. detector.detection.signer.config.perSecondMax=20
  --bus kafka         the only one: an embedded bus serves one process`,
  run: async (args, io) => {
    if (args[0] === 'restart') return restart(args.slice(1), io);
    const wanted = read(args);
    return wanted.ok ? run(wanted.value, io) : refuse(io, command, wanted.error);
  },
};
