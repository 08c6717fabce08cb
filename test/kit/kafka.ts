/**
 * A real Apache Kafka broker in KRaft mode on this machine: the artifacts of Maven Central, run by its Java. One node, five
 * listeners (plain, TLS, both with a password, TLS with certificates of both sides), free ports, a test authority.
 */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { makeCertificates } from './certificates.ts';
import { endBroker, gone, isStopped, jars, java, startBroker } from './kafka-process.ts';
import { propertiesOf } from './kafka-properties.ts';
import { freePort } from './ports.ts';
import { programOf } from './programs.ts';

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

/** What is missing of what a broker needs; '' when nothing is. */
export const kafkaNeeds = (): string =>
  ['java', 'mvn', 'openssl'].filter((one) => programOf(one) === undefined).join(', ');

const REMEDY: { readonly [program: string]: string } = {
  java: 'java is missing: install a JRE of version 17 or newer (Debian: openjdk-17-jre-headless)',
  mvn: 'mvn is missing: install Apache Maven (Debian: maven); it fetches Kafka once',
  openssl: 'openssl is missing: install it; it makes the certificates of the TLS listeners',
};

/** Gives the data folder its cluster id and the user that SCRAM knows. */
const format = async (lib: string, properties: string): Promise<void> => {
  const id = randomBytes(16).toString('base64url');
  const scram = `SCRAM-SHA-256=[name=${USER.username},password=${USER.password}]`;
  const args = ['format', '-t', id, '-c', properties, '--add-scram', scram];
  await java(lib, 'kafka.tools.StorageTool', args);
};

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
  given?: { readonly folder?: string; readonly ports?: KafkaPorts; readonly rights?: boolean },
): Promise<Kafka> => {
  const missing = ['java', 'mvn', 'openssl'].filter((one) => programOf(one) === undefined);
  if (missing.length > 0) throw new Error(missing.map((one) => REMEDY[one]).join('\n'));
  const lib = await jars(version);
  const folder = given?.folder ?? mkdtempSync(path.join(tmpdir(), 'cybermesh-kafka-'));
  mkdirSync(folder, { recursive: true });
  const ports = given?.ports ?? (await portsOf());
  const { ca, otherCa, keystore, client } = await makeCertificates(folder);
  const properties = path.join(folder, 'server.properties');
  const rights = given?.rights === true;
  writeFileSync(properties, propertiesOf({ ports, folder, keystore, ca, user: USER, rights }));
  if (!existsSync(path.join(folder, 'data', 'meta.properties'))) await format(lib, properties);
  let child: ChildProcess | undefined;
  const start = async (): Promise<void> => {
    const clients = [ports.plain, ports.tls, ports.sasl, ports.saslTls];
    child = await startBroker(lib, properties, clients);
  };
  const stop = async (): Promise<void> => {
    if (child !== undefined) await endBroker(child, 'SIGTERM');
  };
  return {
    ...{ version, ports, ca, otherCa, client, folder, start, stop },
    kill: async () => {
      if (child !== undefined) await endBroker(child, 'SIGKILL');
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
