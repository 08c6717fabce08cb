/**
 * A real Apache Kafka broker in KRaft mode on this machine: the artifacts of Maven Central, run by its Java. One node, five
 * listeners (plain, TLS, both with a password, TLS with certificates of both sides), free ports, a test authority.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import net from 'node:net';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { makeCertificates } from './certificates.ts';
import { propertiesOf } from './kafka-properties.ts';
import { freePort } from './ports.ts';
import { programOf } from './programs.ts';

const run = promisify(execFile);

export const KAFKA_VERSIONS = { three: '3.9.1', four: '4.1.1' } as const;
export const USER = { username: 'cybermesh', password: 'right-horse' } as const;

export type KafkaPorts = {
  readonly plain: number;
  readonly tls: number;
  readonly sasl: number;
  readonly saslTls: number;
  /** TLS that wants a certificate of the client, too. */
  readonly mtls: number;
  readonly controller: number;
};

export type Kafka = {
  readonly version: string;
  readonly ports: KafkaPorts;
  /** Certificates as files: the authority that signed the broker's, and one that signed nothing of it. */
  readonly ca: string;
  readonly otherCa: string;
  /** A client's certificate of the first one, and its key. */
  readonly client: { readonly cert: string; readonly key: string };
  /** Where its data, its settings and its log (`broker.log`) lie. */
  readonly folder: string;
  readonly start: () => Promise<void>;
  /** SIGTERM, and SIGKILL when that takes too long. */
  readonly stop: () => Promise<void>;
  /** kill -9; `start` goes on with the same data. */
  readonly kill: () => Promise<void>;
  /** It holds its connections and says nothing, until `thaw`. */
  readonly freeze: () => Promise<void>;
  readonly thaw: () => void;
  /** Resolves when the broker that was started last has ended, for whatever reason. */
  readonly ended: () => Promise<void>;
  /** Stops it and removes its folder. */
  readonly remove: () => Promise<void>;
};

const MAVEN_MS = 300_000;
const JAVA_MS = 60_000;
const READY_MS = 90_000;
const STOP_MS = 15_000;
const LOOK_MS = 100;
const JVM = ['-Xms96m', '-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

/** What is missing of what a broker needs; '' when nothing is. */
export const kafkaNeeds = (): string =>
  ['java', 'mvn', 'openssl'].filter((one) => programOf(one) === undefined).join(', ');

const REMEDY: { readonly [program: string]: string } = {
  java: 'java is missing: install a JRE of version 17 or newer (Debian: openjdk-17-jre-headless)',
  mvn: 'mvn is missing: install Apache Maven (Debian: maven); it fetches Kafka once',
  openssl: 'openssl is missing: install it; it makes the certificates of the TLS listeners',
};

const dependency = (group: string, name: string, version: string): string =>
  `<dependency><groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version></dependency>`;

/** Kafka's own artifact and the logging that its pom leaves out: reload4j for 3.x, log4j 2 for 4.x. */
const pomOf = (version: string): string => {
  const logging = version.startsWith('3.')
    ? [dependency('org.slf4j', 'slf4j-reload4j', '1.7.36')]
    : [
        dependency('org.apache.logging.log4j', 'log4j-slf4j-impl', '2.24.3'),
        dependency('org.apache.logging.log4j', 'log4j-core', '2.24.3'),
      ];
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>kafka-run</artifactId><version>1</version><packaging>pom</packaging>
<dependencies>${dependency('org.apache.kafka', 'kafka_2.13', version)}${logging.join('')}</dependencies></project>\n`;
};

/** The folder of the jars, fetched at first use. */
const jars = async (version: string): Promise<string> => {
  const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
  const folder = path.join(cache, 'cybermesh', `kafka-${version}`);
  const lib = path.join(folder, 'lib');
  const complete = path.join(folder, 'complete');
  if (existsSync(complete)) return lib;
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, 'pom.xml'), pomOf(version));
  const goal = [
    'dependency:copy-dependencies',
    '-DincludeScope=runtime',
    `-DoutputDirectory=${lib}`,
  ];
  await run('mvn', ['-q', '-B', ...goal], { cwd: folder, timeout: MAVEN_MS });
  writeFileSync(complete, '');
  return lib;
};

const java = (lib: string, main: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  run('java', [...JVM, '-cp', `${lib}/*`, main, ...args], {
    timeout: JAVA_MS,
    env: { ...process.env, ...env },
  });

/** Gives the data folder its cluster id and the user that SCRAM knows. */
const format = async (lib: string, properties: string): Promise<void> => {
  const made = await java(lib, 'kafka.tools.StorageTool', ['random-uuid']);
  const id = made.stdout.trim().split('\n').at(-1)!;
  const scram = `SCRAM-SHA-256=[name=${USER.username},password=${USER.password}]`;
  const args = ['format', '-t', id, '-c', properties, '--add-scram', scram];
  await java(lib, 'kafka.tools.StorageTool', args);
};

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });

const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms);
  });

/** Every thread has stopped: the signal alone takes a moment. */
const isStopped = (pid: number): boolean =>
  readdirSync(`/proc/${pid}/task`).every((task) => {
    const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  });

const ended = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null;

const gone = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (ended(child)) resolve();
    else child.once('exit', () => resolve());
  });

const end = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  if (ended(child)) return;
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await gone(child);
  clearTimeout(timer);
};

/** Ready: its ports are open and it says that it has started (it reads its metadata before). */
const awaitReady = async (child: ChildProcess, ports: KafkaPorts, log: string): Promise<void> => {
  const untilMs = performance.now() + READY_MS;
  const { controller: _, ...wanted } = ports;
  while (performance.now() < untilMs) {
    if (ended(child)) break;
    const open = await Promise.all(Object.values(wanted).map(isOpen));
    if (open.every(Boolean)) return;
    await pause(LOOK_MS);
  }
  const tail = readFileSync(log, 'utf8').slice(-2000);
  throw new Error(`the broker is not ready${ended(child) ? ': it ended' : ''}\n${tail}`);
};

const running = new Set<ChildProcess>();
// Whatever a test forgot ends with the tests.
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

const portsOf = async (): Promise<KafkaPorts> => ({
  plain: await freePort(),
  tls: await freePort(),
  sasl: await freePort(),
  saslTls: await freePort(),
  mtls: await freePort(),
  controller: await freePort(),
});

/** Provides a broker that is not started yet. Rejects with what is missing on this machine and how to get it. */
export const provideKafka = async (
  version: string = KAFKA_VERSIONS.four,
  given?: { readonly folder?: string; readonly ports?: KafkaPorts },
): Promise<Kafka> => {
  const missing = ['java', 'mvn', 'openssl'].filter((one) => programOf(one) === undefined);
  if (missing.length > 0) throw new Error(missing.map((one) => REMEDY[one]).join('\n'));
  const lib = await jars(version);
  const folder = given?.folder ?? mkdtempSync(path.join(tmpdir(), 'cybermesh-kafka-'));
  mkdirSync(folder, { recursive: true });
  const ports = given?.ports ?? (await portsOf());
  const { ca, otherCa, keystore, client } = await makeCertificates(folder);
  const properties = path.join(folder, 'server.properties');
  writeFileSync(properties, propertiesOf({ ports, folder, keystore, ca, user: USER }));
  const log = path.join(folder, 'broker.log');
  if (!existsSync(path.join(folder, 'data', 'meta.properties'))) await format(lib, properties);
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const out = openSync(log, 'a');
    const args = [...JVM, '-cp', `${lib}/*`, 'kafka.Kafka', properties];
    const broker = spawn('java', args, { stdio: ['ignore', out, out], cwd: folder });
    child = broker;
    running.add(broker);
    broker.once('exit', () => running.delete(broker));
    await awaitReady(broker, ports, log);
  };
  const stop = async (): Promise<void> => {
    if (child !== undefined) await end(child, 'SIGTERM');
  };
  return {
    ...{ version, ports, ca, otherCa, client, folder, start, stop },
    kill: async () => {
      if (child !== undefined) await end(child, 'SIGKILL');
    },
    freeze: async () => {
      child?.kill('SIGSTOP');
      while (child?.pid !== undefined && !isStopped(child.pid)) await pause(1);
    },
    thaw: () => child?.kill('SIGCONT'),
    ended: () => (child === undefined ? Promise.resolve() : gone(child)),
    remove: async () => {
      child?.kill('SIGCONT');
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
};
