/** What can be known of the bus's settings before the start: files, passwords and names; no broker is asked. */
import { accessSync, constants } from 'node:fs';
import { TOPICS } from '#proto/wire/topics.ts';
import { didYouMean } from '#runtime/topology/nearest.ts';
import { actorsOf, type CheckMessage, type TopologyCheck } from '#runtime/topology/view.ts';
import { type BusConfig, config, type KafkaConfig } from './config.ts';

type Finding = readonly [setting: string, message: string | undefined];

const unreadable = (file: string | undefined): string | undefined => {
  if (file === undefined) return undefined;
  try {
    accessSync(file, constants.R_OK);
    return undefined;
  } catch (fault) {
    return `${file} cannot be read (${(fault as NodeJS.ErrnoException).code})`;
  }
};

const ofNames = ({ topics }: BusConfig): Finding[] => {
  const known: readonly string[] = Object.values(TOPICS);
  const used = new Map<string, string>();
  return Object.entries(topics).map(([topic, name]) => {
    const setting = `topics.${topic}`;
    if (!known.includes(topic)) return [setting, `no such topic${didYouMean(topic, known)}`];
    const other = used.get(name) ?? known.find((one) => one === name && !(one in topics));
    used.set(name, topic);
    return [setting, other === undefined ? undefined : `${name} is the name of ${other} already`];
  });
};

const ofKafka = ({ tls, sasl }: KafkaConfig): Finding[] => {
  const lacksPassword =
    sasl !== undefined &&
    sasl.passwordFile === undefined &&
    (process.env[sasl.passwordEnv] ?? '') === '';
  return [
    ['tls.ca', unreadable(tls?.ca)],
    ['tls.cert', unreadable(tls?.cert)],
    ['tls.key', unreadable(tls?.key)],
    ['sasl.passwordFile', unreadable(sasl?.passwordFile)],
    [
      'sasl',
      lacksPassword
        ? `the variable ${sasl.passwordEnv} is empty: give the password there or in passwordFile`
        : undefined,
    ],
  ];
};

const findings = (settings: BusConfig): Finding[] => [
  ...ofNames(settings),
  ...(settings.driver === 'kafka' ? ofKafka(settings) : []),
];

export const check: TopologyCheck = (topology) =>
  actorsOf(topology, 'bus').flatMap((actor) =>
    findings(config.parse(actor.config)).flatMap(([setting, message]): CheckMessage[] =>
      message === undefined ? [] : [{ path: `${actor.path}.config.${setting}`, message }],
    ),
  );
