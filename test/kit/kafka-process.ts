/** A broker as a process: its jars from Maven Central, its Java, its start, its end. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { homedir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
const MAVEN_MS = 300_000;
const JAVA_MS = 60_000;
const READY_MS = 90_000;
const STOP_MS = 15_000;
const LOOK_MS = 100;
const JVM = ['-Xms96m', '-Xmx384m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1'];

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
export const jars = async (version: string): Promise<string> => {
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

export const java = (lib: string, main: string, args: readonly string[]) =>
  run('java', [...JVM, '-cp', `${lib}/*`, main, ...args], { timeout: JAVA_MS });

const isOpen = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect({ host: '127.0.0.1', port });
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });

/** Every thread has stopped: the signal alone takes a moment. */
export const isStopped = (pid: number): boolean =>
  readdirSync(`/proc/${pid}/task`).every((task) => {
    const stat = readFileSync(`/proc/${pid}/task/${task}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).startsWith('T');
  });

const ended = (child: ChildProcess): boolean =>
  child.exitCode !== null || child.signalCode !== null;

export const gone = (child: ChildProcess): Promise<void> =>
  new Promise((resolve) => {
    if (ended(child)) resolve();
    else child.once('exit', () => resolve());
  });

export const endBroker = async (child: ChildProcess, signal: NodeJS.Signals): Promise<void> => {
  if (ended(child)) return;
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
  await gone(child);
  clearTimeout(timer);
};

/** Ready: its ports are open (it reads its metadata before). */
const awaitReady = async (
  child: ChildProcess,
  wanted: readonly number[],
  log: string,
): Promise<void> => {
  const untilMs = performance.now() + READY_MS;
  while (performance.now() < untilMs) {
    if (ended(child)) break;
    const open = await Promise.all(wanted.map(isOpen));
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

/** Starts a broker with the settings of a file; resolves when its ports are open. Its words go to `broker.log`. */
export const startBroker = async (
  lib: string,
  properties: string,
  ports: readonly number[],
): Promise<ChildProcess> => {
  const folder = path.dirname(properties);
  const log = path.join(folder, 'broker.log');
  const out = openSync(log, 'a');
  const args = [...JVM, '-cp', `${lib}/*`, 'kafka.Kafka', properties];
  const broker = spawn('java', args, { stdio: ['ignore', out, out], cwd: folder });
  running.add(broker);
  broker.once('exit', () => running.delete(broker));
  try {
    await awaitReady(broker, ports, log);
  } catch (fault) {
    broker.kill('SIGKILL');
    throw fault;
  }
  return broker;
};
