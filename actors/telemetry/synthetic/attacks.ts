/**
 * Attacks as their tools leave them on the wire. All but the SYN flood complete their connections,
 * so their sources are proven and may be acted upon; the flood's sources are forged and must not
 * be.
 */
import type { Random } from './random.ts';
import { type Host, host, type Planned, tcp } from './session.ts';

/** Labels of generated packets: index 0 = none. FOR EVALUATION ONLY. */
export const LABELS = [
  '',
  'benign',
  'port_scan',
  'brute_force',
  'http_flood',
  'syn_flood',
] as const;

export type Attack = 'port_scan' | 'brute_force' | 'http_flood' | 'syn_flood';

/** Order of a round, and how long after the round's begin each starts, in seconds. */
export const ROUND: readonly { readonly attack: Attack; readonly afterS: number }[] = [
  { attack: 'port_scan', afterS: 0 },
  { attack: 'brute_force', afterS: 5 },
  { attack: 'http_flood', afterS: 16 },
  { attack: 'syn_flood', afterS: 24 },
];
/** From the begin of a round to the end of its last attack, s. */
export const ROUND_S = 29;

const TARGET_PORTS_OPEN = [22, 80, 443] as const;
const target = (rng: Random): Host => host(10, 0, 0, rng.between(10, 29));
const port = (rng: Random): number => rng.between(32_768, 60_999);
const attacker = (rng: Random): Host => host(203, 0, 113, rng.between(2, 250));

/**
 * connect() to port after port of one host: refused where nothing listens, opened and reset where
 * it does.
 */
const portScan = (rng: Random, startUs: number, label: number): Planned[] => {
  const from = attacker(rng);
  const server = target(rng);
  const firstPort = rng.between(1, 3_000);
  const ports = [
    ...TARGET_PORTS_OPEN,
    ...Array.from({ length: 260 }, (_, index) => firstPort + index * 7),
  ];
  return ports.flatMap((serverPort, index) => {
    const ends = { client: from, clientPort: port(rng), server, serverPort };
    const atUs = startUs + index * 15_000 + rng.between(0, 4_000);
    const session = tcp(rng, ends, atUs, 4_000, label);
    if (TARGET_PORTS_OPEN.some((open) => open === serverPort)) {
      session.open();
      session.reset(true);
    } else session.refused();
    return session.packets;
  });
};

/** One guess after the other over SSH, several at a time, each a connection of its own. */
const bruteForce = (rng: Random, startUs: number, label: number): Planned[] => {
  const from = attacker(rng);
  const server = target(rng);
  return Array.from({ length: 60 }, (_, index) => {
    const ends = { client: from, clientPort: port(rng), server, serverPort: 22 };
    const atUs = startUs + index * 160_000 + rng.between(0, 60_000);
    const session = tcp(rng, ends, atUs, 12_000, label);
    session.open();
    session.say({ forward: false, bytes: 41, pauseUs: 8_000 });
    session.say({ forward: true, bytes: 24, pauseUs: 500 });
    session.say({ forward: true, bytes: 1_100, pauseUs: 900 });
    session.say({ forward: false, bytes: 1_080, pauseUs: 1_500 });
    session.say({ forward: true, bytes: 48, pauseUs: 2_000 });
    session.say({ forward: false, bytes: 452, pauseUs: 3_000 });
    session.say({ forward: true, bytes: 148, pauseUs: 900 });
    session.say({ forward: false, bytes: 84, pauseUs: rng.around(180_000, 0.2) });
    session.close();
    return session.packets;
  }).flat();
};

/** Many small requests over completed connections from one source. */
const httpFlood = (rng: Random, startUs: number, label: number): Planned[] => {
  const from = attacker(rng);
  const server = target(rng);
  return Array.from({ length: 700 }, (_, index) => {
    const ends = { client: from, clientPort: 20_000 + index, server, serverPort: 80 };
    const session = tcp(rng, ends, startUs + index * 9_000 + rng.between(0, 4_000), 3_000, label);
    session.open();
    session.say({ forward: true, bytes: rng.between(160, 340), pauseUs: 100 });
    session.say({ forward: false, bytes: rng.between(300, 900), pauseUs: 4_000 });
    session.close();
    return session.packets;
  }).flat();
};

/** SYNs with forged sources, a tenth of them answered. */
const synFlood = (rng: Random, startUs: number, label: number): Planned[] => {
  const server = target(rng);
  return Array.from({ length: 3_200 }, (_, index) => {
    const client = host(192, 0, 2, rng.between(1, 254));
    const ends = { client, clientPort: rng.between(1_024, 65_535), server, serverPort: 443 };
    const session = tcp(rng, ends, startUs + index * 1_250, 2_000, label);
    session.open();
    return session.packets.slice(0, rng.unit() < 0.1 ? 2 : 1);
  }).flat();
};

/** All packets of one attack that begins at `startUs`. */
export const attackPackets = (rng: Random, attack: Attack, startUs: number): Planned[] => {
  const label = LABELS.indexOf(attack);
  switch (attack) {
    case 'port_scan':
      return portScan(rng, startUs, label);
    case 'brute_force':
      return bruteForce(rng, startUs, label);
    case 'http_flood':
      return httpFlood(rng, startUs, label);
    case 'syn_flood':
      return synFlood(rng, startUs, label);
  }
};
