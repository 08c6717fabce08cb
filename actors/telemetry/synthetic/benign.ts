/**
 * An office and its servers on an ordinary day: names are looked up, pages fetched, mail and files
 * moved.
 */
import type { Random } from './random.ts';
import { type Ends, type Host, host, type Planned, tcp, udp } from './session.ts';

const BENIGN = 1;
/** Mean packets of one visit below, measured over 10,000 of them. */
export const PACKETS_PER_VISIT = 30;

const CLIENTS = 40;
const SERVERS = 24;
const RESOLVER = host(10, 0, 0, 53);

const client = (rng: Random): Host => host(10, 1, 0, 10 + rng.between(0, CLIENTS - 1));
/** Popular servers are visited more often than others. */
const server = (rng: Random): Host =>
  host(198, 51, 100, 10 + Math.floor(SERVERS * rng.unit() * rng.unit()));
const port = (rng: Random): number => rng.between(32_768, 60_999);
const roundTripUs = (rng: Random): number => Math.min(300_000, rng.around(18_000, 0.7));
const bytes = (rng: Random, median: number, max: number): number =>
  Math.max(40, Math.min(max, Math.round(rng.around(median, 1))));

const lookUp = (rng: Random, from: Host, atUs: number): Planned[] => {
  const ends = { client: from, clientPort: port(rng), server: RESOLVER, serverPort: 53 };
  return udp(
    rng,
    ends,
    atUs,
    rng.around(1_500, 0.6),
    rng.between(28, 60),
    rng.between(60, 300),
    BENIGN,
  );
};

/** Requests and answers over one connection. */
const web = (rng: Random, ends: Ends, atUs: number, encrypted: boolean): Planned[] => {
  const trip = roundTripUs(rng);
  const session = tcp(rng, ends, atUs, trip, BENIGN);
  session.open();
  if (encrypted) {
    session.say({ forward: true, bytes: rng.between(250, 620), pauseUs: 300 });
    session.say({ forward: false, bytes: rng.between(1_200, 4_800), pauseUs: 900 });
    session.say({ forward: true, bytes: rng.between(64, 130), pauseUs: 600 });
  }
  const requests = rng.between(1, 4);
  for (let i = 0; i < requests; i++) {
    const pauseUs = i === 0 ? 400 : Math.min(4e6, rng.around(350_000, 1));
    session.say({ forward: true, bytes: bytes(rng, 420, 2_400), pauseUs });
    session.say({
      forward: false,
      bytes: bytes(rng, 5_000, 60_000),
      pauseUs: rng.around(9_000, 0.6),
    });
  }
  if (rng.unit() < 0.93) session.close();
  else session.reset(true);
  return session.packets;
};

/** Mail, a shell, a share: few turns, small ones. */
const dialogue = (rng: Random, ends: Ends, atUs: number): Planned[] => {
  const session = tcp(rng, ends, atUs, roundTripUs(rng), BENIGN);
  session.open();
  const turns = rng.between(3, 9);
  for (let i = 0; i < turns; i++) {
    const pauseUs = Math.min(3e6, rng.around(120_000, 0.9));
    session.say({ forward: i % 2 === 1, bytes: bytes(rng, 120, 1_400), pauseUs });
  }
  session.close();
  return session.packets;
};

/** All packets of one visit that begins at `atUs`, in order of time. */
export const visit = (rng: Random, atUs: number): Planned[] => {
  const from = client(rng);
  const kind = rng.unit();
  const ends = { client: from, clientPort: port(rng), server: server(rng), serverPort: 443 };
  const name = lookUp(rng, from, atUs);
  const then = atUs + 6_000 + rng.between(0, 9_000);
  if (kind < 0.2) return name;
  if (kind < 0.68) return [...name, ...web(rng, ends, then, true)];
  if (kind < 0.86) return [...name, ...web(rng, { ...ends, serverPort: 80 }, then, false)];
  if (kind < 0.92) {
    const clock = { ...ends, serverPort: 123 };
    return [...name, ...udp(rng, clock, then, roundTripUs(rng), 48, 48, BENIGN)];
  }
  const service = rng.pick([587, 993, 445, 5432] as const);
  return [...name, ...dialogue(rng, { ...ends, serverPort: service }, then)];
};
