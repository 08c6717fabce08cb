/** `npm run kafka [version]`: a real broker on this machine until Ctrl-C, with data that stays. */
import { rmSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { KAFKA_VERSIONS, provideKafka, USER } from './kafka.ts';

const version = process.argv[2] ?? KAFKA_VERSIONS.four;
const PORTS = { plain: 9092, tls: 9093, sasl: 9094, saslTls: 9095, mtls: 9097, controller: 9096 };

const main = async (): Promise<void> => {
  const cache = process.env.XDG_CACHE_HOME ?? path.join(homedir(), '.cache');
  const folder = path.join(cache, 'cybermesh', `kafka-${version}-data`);
  if (process.argv.includes('--fresh')) rmSync(folder, { recursive: true, force: true });
  console.log(`Kafka ${version}: fetching it at the first time, then starting ...`);
  const broker = await provideKafka(version, { folder, ports: PORTS });
  await broker.start();
  console.log(`
Kafka ${version} is ready; Ctrl-C stops it, its data stays in ${folder} (--fresh begins anew).

  plain     127.0.0.1:${PORTS.plain}
  TLS       127.0.0.1:${PORTS.tls}   tls: { ca: ${broker.ca} }
  SASL      127.0.0.1:${PORTS.sasl}   sasl: { mechanism: scram-sha-256, username: ${USER.username} }, KAFKA_PASSWORD=${USER.password}
  SASL+TLS  127.0.0.1:${PORTS.saslTls}   both
  mTLS      127.0.0.1:${PORTS.mtls}   tls: { ca: ${broker.ca}, cert: ${broker.client.cert}, key: ${broker.client.key} }

Try it:
  node runtime start config/local.yaml --set 'bus={driver: kafka, brokers: ["127.0.0.1:${PORTS.plain}"], create: {}}'
`);
  let stopping = false;
  const stop = async (): Promise<void> => {
    stopping = true;
    await broker.stop();
    process.exit(0);
  };
  process.once('SIGINT', () => void stop());
  process.once('SIGTERM', () => void stop());
  await broker.ended();
  if (stopping) return;
  console.error(`the broker ended by itself: ${path.join(folder, 'broker.log')} says why`);
  process.exit(1);
};

main().catch((fault: unknown) => {
  console.error(fault instanceof Error ? fault.message : fault);
  process.exitCode = 1;
});
